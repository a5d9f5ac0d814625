"""Seven captioners under one encoder, one vocabulary and one budget, on Flickr8k's photographs."""
