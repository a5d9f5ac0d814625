"""Character classes of the reference tokenizer: letters, digits and symbols.

CoreNLP 3.4.1 was generated in 2014, so its alphabet is Unicode 6 without the supplementary planes:
emoji and younger scripts are no token at all, they vanish. The ranges below were found by asking
the tokenizer about each of the 65,536 characters it can see.
"""

from unicodedata import category

__all__ = ["DIGIT", "LETTER", "MARK", "SYMBOL"]


def _class(ranges: str) -> str:
    """Turn `"0041-005a 00e9"` into the inside of a character class of a regular expression."""
    parts = (part.split("-") for part in ranges.split())
    return "".join("-".join(f"\\u{end}" for end in ends) for ends in parts)


def _in(ranges: str) -> set[int]:
    """Turn `"0041-005a 00e9"` into the set of its code points."""
    ends = ([int(end, 16) for end in part.split("-")] for part in ranges.split())
    return {point for end in ends for point in range(end[0], end[-1] + 1)}


def _letters() -> str:
    """Today's letters of the basic plane, without those that are younger than the tokenizer."""
    younger = _in(_YOUNGER_LETTERS)
    points = [
        point
        for point in range(0x80, 0x10000)
        if category(chr(point)).startswith("L") and point not in younger
    ]
    starts = [p for p, before in zip(points, [-1, *points], strict=False) if p != before + 1]
    ends = [p for p, after in zip(points, [*points[1:], -1], strict=True) if p != after - 1]
    runs = zip(starts, ends, strict=True)
    return "A-Za-z\\u1885\\u1886" + "".join(f"\\u{a:04x}-\\u{b:04x}" for a, b in runs)


# Letters of Unicode 14 that were none in Unicode 6.
_YOUNGER_LETTERS = """
037f 0528-052f 0560 0588 05ef 0860-086a 0870-0887 0889-088e 08a1 08ad-08c9 0978 0980 09fc 0af9 0c34
0c5a 0c5d 0c80 0cdd 0d04 0d54-0d56 0d5f 0e86 0e89 0e8c 0e8e-0e93 0e98 0ea0 0ea8-0ea9 0eac 13f5
13f8-13fd 16f1-16f8 170d 171f 1878 191d-191e 19b0-19c0 19c8-19c9 1b4c 1c80-1c8a 1c90-1cba 1cbd-1cbf
1cf2-1cf3 1cfa 2c2f 2c5f 312e-312f 31bb-31bf 4db6-4dbf 9fcd-9fff a698-a69d a78f a794-a79f a7ab-a7f7
a8fd-a8fe a9e0-a9e4 a9e6-a9ef a9fa-a9fe aa7e-aa7f ab30-ab5a ab5c-ab69 ab70-abbf
"""

LETTER = _letters()

# Combining marks that may stand inside a word.
MARK = _class("""
02c2-02c5 02d2-02df 02e5-02eb 02ed 02ef-036f 0375 0378-0379 0384-0385 03f6 0483-0487 055a-055f
0591-05bd 05bf 05c1-05c2 05c4-05c5 05c7 0615-061a 064b-065e 0670 06d6-06e4 06e7-06ed 06fd-06fe 070f
0711 0730-074c 07a6-07b0 07eb-07f3 0900-0903 093c 093e-094e 0951-0955 0962-0963 0981-0983 09bc
09be-09c4 09c7-09c8 09cb-09cd 09d7 09e2-09e3 0a01-0a03 0a3c 0a3e-0a4f 0a81-0a83 0abc 0abe-0acf 0b82
0bbe-0bc2 0bc6-0bc8 0bca-0bcd 0c01-0c03 0c3e-0c56 0d3e-0d44 0d46-0d48 0e31 0e34-0e3a 0e47-0e4e 0eb1
0eb4-0ebc 0ec8-0ecd
""")

DIGIT = "0-9" + _class("""
0660-0669 06f0-06f9 07c0-07c9 0966-096f 09e6-09ef 0a66-0a6f 0ae6-0aef 0b66-0b6f 0be6-0bef 0c66-0c6f
0ce6-0cef 0d66-0d6f 0e50-0e59 0ed0-0ed9 0f20-0f29 1040-1049 1090-1099 17e0-17e9 1810-1819 1946-194f
19d0-19d9 1a80-1a89 1a90-1a99 1b50-1b59 1bb0-1bb9 1c40-1c49 1c50-1c59 a620-a629 a8d0-a8d9 a900-a909
a9d0-a9d9 aa50-aa59 abf0-abf9 ff10-ff19
""")

# Characters that are a token of their own.
SYMBOL = _class("""
00a1 00a5-00a9 00ac 00ae-00b1 00b4 00b6-00b8 00bf 00d7 00f7 037e 0387 0589 05be 05c0 05c3 05c6
05f3-05f4 0600-0603 0606-060c 0614 061b 061e-061f 066a 066d 06d4 0700-070d 07f6-07f8 0964-0965 0e3f
0e4f 1fbd 2016-2017 2020-2023 2030-2038 203b 203e-2042 2044 207a-207e 208a-208e 20a4 2100-2101
2103-2106 2108-2109 2114 2116-2118 211e-2123 2125 2127 2129 212e 213a-213b 2140-2144 214a-214d 214f
2155-215e 2190-2bff 3001-3002 3012 30fb ff01-ff0f ff1a-ff20 ff3b-ff40 ff5b-ff65 ffe0-ffe1 ffe5-ffe6
""")
