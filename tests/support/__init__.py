"""What tests share: tiny models and runs, pictures, a terminal, oracles of the equations."""
