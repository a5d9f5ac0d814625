"""Rules of the Penn Treebank tokenizer, as CoreNLP 3.4.1 applies them to a caption.

At each position every rule is tried and the longest match wins, counting what must follow the
token; of two equally long ones the earlier. They follow the grammar of that tokenizer, restated for
Python, and were corrected by comparing with the Java program on millions of lines;
`tests/metrics/test_ptb.py` holds the instructive ones.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from cutline.metrics.ptb_characters import DIGIT, LETTER, MARK, SYMBOL

__all__ = ["RULES", "Rule"]


def _plain(token: str) -> str:
    """Leave out soft hyphens, unless there is nothing else."""
    return token.replace("\u00ad", "") or "-"


class Rule(NamedTuple):
    """Three parts: a pattern for the token, one for what must follow, and what is written."""

    token: str
    follow: str = ""
    write: str | Callable[[str], str] = _plain


_QUOTES = {
    **dict.fromkeys("\u0091\u2018\u201b\u2039", "`"),
    **dict.fromkeys("\u0092\u2019\u203a", "'"),
    **dict.fromkeys("\u0093\u201c\u00ab", "``"),
    **dict.fromkeys("\u0094\u201d\u00bb", "''"),
}
_QUOTE_TABLE = str.maketrans(_QUOTES)


def _quotes(token: str) -> str:
    return token.replace("&apos;", "'").translate(_QUOTE_TABLE)


def _brackets(token: str) -> str:
    return token.replace("(", "-LRB-").replace(")", "-RRB-").replace(" ", "\u00a0")


def _joined(token: str) -> str:
    """Write a no-break space for a space inside the token."""
    return token.replace(" ", "\u00a0")


def _ampersand(token: str) -> str:
    return re.sub("&amp;", "&", token, flags=re.IGNORECASE)


def _any(words: str) -> str:
    """Any of these words, in any case."""
    return f"(?ai:{'|'.join(map(re.escape, words.split()))})"


def _capital(words: str) -> str:
    """Any of these words, with a capital letter and the rest in any case."""
    return "(?:" + "|".join(f"{w[0]}(?ai:{re.escape(w[1:])})" for w in words.split()) + ")"


# Characters
N, D, ND = f"[{LETTER}]", f"[{DIGIT}]", f"[{LETTER}{DIGIT}]"
ENTITY = "(?ai:&[aeiou](?:acute|grave|uml);)"
L = f"(?:[{LETTER}{MARK}\u00ad]|{ENTITY})"
LD = f"(?:[{LETTER}{MARK}{DIGIT}\u00ad]|{ENTITY})"
AMP = "(?:(?ai:&amp;)|&)"
BLANK = "[ \t\n\u00a0\u2000-\u200a\u3000]"
APOS = "(?:['\u0092\u2019]|(?ai:&apos;))"
APOS_OR_TICK = "(?:['`\u0091\u0092\u2018\u2019\u201b]|(?ai:&apos;))"
COMMA = "[,;:\u3001]"

# Words
WORD = f"{L}{LD}*+(?:[.!?]{L}{LD}*+)*+"
IS = f"{APOS}(?:[msdMSD]|(?ai:re|ve|ll))"
NOT = f"[nN]{APOS_OR_TICK}[tT]"
PART = f"(?:[dDoOlL]{APOS_OR_TICK}{ND})?{ND}+"
COMPOUND = f"{PART}(?:[-_\u058a\u2010\u2011]{PART})*"
SLASHABLE = "[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}"
ELISION = (
    f"(?ai:{APOS}n{APOS}?|[ldj]{APOS}|dunkin{APOS}|somethin{APOS}|ol{APOS}|{APOS}em|{APOS}[2-9]0s"
    f"|{APOS}till?|c{APOS}mon|{APOS}cause|o{APOS}o|o{APOS}clock|e{APOS}er|li{APOS}l|ev{APOS}ry"
    f"|s{APOS}mores)|{N}+[aeiouyAEIOUY]{APOS_OR_TICK}[aeiouA-Z]{N}*"
    f"|[A-HJ-XZn]{APOS_OR_TICK}{N}{{2}}{N}*"
)

# Numbers
NUMBER = f"(?:{D}*(?:[.:,\u00ad\u066b\u066c]{D}+)+|{D}+)"
FRACTION = f"(?:{D}{{1,4}}[- \u00a0])?{D}{{1,4}}(?:\\\\?/|\u2044){D}{{1,4}}"
DATE = f"{D}{{1,2}}[-/]{D}{{1,2}}[-/]{D}{{2,4}}"
RAISED = "[\u207a\u207b\u208a\u208b]?(?:[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+|[\u2080-\u2089]+)"
AREA = "\\([0-9]{2,3}\\)[ \u00a0]?|(?:\\+\\+?)?(?:[0-9]{2,4}[- \u00a0])?[0-9]{2,4}[- \u00a0]"
PHONE = (
    f"(?:{AREA})[0-9]{{3,4}}[- \u00a0]?[0-9]{{3,5}}"
    "|(?:(?:\\+\\+?)?[0-9]{2,4}\\.)?[0-9]{2,4}\\.[0-9]{3,4}\\.[0-9]{3,5}"
)

# The web
TAG_NAME = "[A-Za-z][A-Za-z0-9:._-]*"
TAG_VALUE = "(?:'[^\r\n']*'|\"[^\r\n\"]*\"|[A-Za-z0-9:._-]+)"
TAG = f"<(?:[!?][A-Za-z-][^>\r\n]*|/?{TAG_NAME}(?: +{TAG_NAME}(?: *= *{TAG_VALUE})?)* */?) *>"
PATH_END = '[^ \t\n\f\r"<>|.!?(){},-]'
URL = f'(?ai:https?)://[^ \t\n\f\r"<>|(){{}}]+{PATH_END}'
PATH = f'/[^ \t\n\f\r"<>|()]+{PATH_END}'
WWW = f'(?ai:www)\\.(?:[^ \t\n\f\r"<>|.!?(){{}},]+\\.)+[a-zA-Z]{{2,4}}(?:{PATH})?'
# The range from comma to underscore (no capitals, no digits) is the reference's own.
SITE = f"(?:[^ \t\n\f\r\"`'<>|.!?(){{}},-_$]+\\.)+(?ai:com|net|org|edu)(?:{PATH})?"
EMAIL_CHAR = '[^ \t\n\f\r"<>|(){}\u00a0]'
EMAIL_PART = '[^ \t\n\f\r"<>|(){}.\u00a0]'
EMAIL = (
    f"(?:(?ai:&lt;)|<)?[a-zA-Z0-9]{EMAIL_CHAR}*@(?:{EMAIL_PART}+\\.)*{EMAIL_PART}+(?:(?ai:&gt;)|>)?"
)
EXTENSION = _any(
    "bat bmp bz2 c class cgi cpp dll doc docx exe gif gz h htm html jar java jpeg jpg mov mp3 pdf "
    "php pl png ppt ps py sql tar txt wav x xml zip 3gp wmv wma avi flv mp4 mpg"
)

# Abbreviations. "la." and "miss." are words, "La." and "Miss." are states.
STATE = _capital("Az Ark Del Ill La Mass Miss Ore Pa Tex Wash")
# These may close a sentence.
CLOSING_WORDS = _any(
    "al ala apr ariz assn aug bancorp bhd bldg blvd bros calif co colo conn corp cos ct dak dec "
    "ed.d esq est etc ext feb fla fri ga inc ind intl jan jr jul jun kan kans ky ltd mar md mich "
    "minn mo mon mont neb nev nov oct okla penn ph.d plc rd rt sep sept seq sq sr sys tel tenn "
    "thu thurs tue tues univ va vt wed wis wisc wyo"
)
CLOSING = f"(?:{STATE}|[pP]{{1,2}}[tT][eEyY]s?|{CLOSING_WORDS})\\."
# After these comes a name.
LEADING_WORDS = _any(
    "adj adm adv alex assoc asst atty attys ave brig capt cf cie cmdr col comdr cpl dept det dr "
    "drs elec ens ft gen gov govs hon insp invt jos lieut lt maj messrs mfg mlle mme mr mrs ms "
    "msgr mt mtg natl pfc ph pres prof profs pvt rep reps rev sen sens sfc sgt spc st ste supt "
    "supts treas vs wm"
)
LEADING = f"{LEADING_WORDS}\\."
NUMBERED = _any("art ca fig figs no nos op pp prop") + "\\."
INITIALS = (
    "[A-Za-z](?:\\.[A-Za-z])+|(?ai:Canada|Sino|Korean|EU|Japan|non)-U\\.S"
    "|U\\.S\\.-U\\.(?:S\\.S\\.R|K)"
)
# Words that begin a sentence, so that an initial before them ended the last one: "plan B. The".
OPENING = _capital(
    "A About According Additionally After An As At But Earlier He Her Here However If In It Last "
    "Many More Mr. Ms. Now Once One Other Our She Since So Some Such That The Their Then There "
    "These They This We When While What Yet You"
)
HYPHENATED = f"[A-Za-z0-9][A-Za-z0-9.,\u00ad]*(?:-(?:(?:{INITIALS})\\.|[A-Za-z0-9\u00ad]+))+"
SPECIAL = _any("-LRB- -RRB- -LCB- -RCB- -LSB- -RSB- C.D.s C++ C# F# pro- anti- Cap'n c'est")

RULES = (
    Rule("(?ai:can)", "(?ai:not)"),
    Rule("(?ai:gon|wan)", "(?ai:na)"),
    Rule("(?ai:got)", "(?ai:ta)"),
    Rule("(?ai:lem|gim)", "(?ai:me)"),
    Rule("'[tT]", "(?ai:is|was)"),
    Rule(TAG, write=_joined),
    Rule("(?ai:&(?:md|mdash|ndash);)|[\u0096\u0097\u2013-\u2015]", write="--"),
    Rule("(?ai:&amp;)", write="&"),
    Rule("(?ai:&(?:ht|tl|ur|lr|qc|ql|qr|odq|cdq|#[0-9]+);)"),
    Rule(WORD, IS),
    Rule("[A-Za-z\u00ad]*[A-MO-Za-mo-z]\u00ad*", NOT),
    Rule(WORD),
    Rule(ELISION),
    Rule(f"[yY]{APOS}", N),
    Rule(URL, write=str),
    Rule(WWW, write=str),
    Rule(SITE, write=str),
    Rule(EMAIL, write=str),
    Rule(f"@[a-zA-Z_][a-zA-Z_0-9]*|#{L}+", write=str),
    Rule(IS, "[^A-Za-z]", _quotes),
    Rule(NOT, "[^A-Za-z]", _quotes),
    Rule(DATE),
    Rule(f"[-+]?{NUMBER}"),
    Rule(RAISED),
    Rule(FRACTION, write=_joined),
    *(
        Rule(mark, write=fraction)
        for mark, fraction in zip(
            "\u00bc\u00bd\u00be\u2153\u2154", ("1/4", "1/2", "3/4", "1/3", "2/3"), strict=True
        )
    ),
    Rule(SPECIAL),
    Rule(f"[sS]{AMP}[pP]-500|[sS]{AMP}[lL]s", write=_ampersand),
    Rule(f"{SLASHABLE}(?:\\\\?/{SLASHABLE}){{1,2}}"),
    Rule("[A-Z]*\\$|#+"),
    Rule("[\u0080\u00a4\u20a0\u20ac]", write="$"),
    Rule("\u00a2", write="cents"),
    Rule("\u00a3", write="#"),
    Rule(CLOSING, "(?s:..)"),
    Rule(CLOSING),
    Rule(LEADING),
    Rule("[A-Za-z]", f"\\.{BLANK}+(?:{OPENING}|{TAG}){BLANK}"),
    Rule(f"(?:{INITIALS}|[A-Za-z])\\."),
    Rule(INITIALS, BLANK),
    Rule(NUMBERED, f"{BLANK}?{D}"),
    Rule(f"{APOS}[0-9][0-9]", BLANK),
    Rule(f"{LD}+(?:\\.{LD}+)*\\.{EXTENSION}", f"{BLANK}|[.?!,]", str),
    Rule(f"{WORD}\\.", COMMA),
    Rule(PHONE, write=_brackets),
    Rule(APOS, write=_quotes),
    Rule("(?ai:&nbsp;)", write=""),
    Rule('"|&quot;', write="''"),
    Rule("(?ai:&quot;)"),
    Rule("<|(?ai:&lt;)", write="<"),
    Rule(">|(?ai:&gt;)", write=">"),
    Rule("[<>]?[:;=][-o*']?[()DPdpO\\\\{@|\\[\\]]", "[^A-Za-z0-9]", _brackets),
    Rule(
        "[-^x=~<>']_[-^x=~<>']|\\([-^x=~<>'][_.]?[-^x=~<>']\\)|\\([\\^x=~<>']-[\\^x=~<>'`]\\)",
        write=_brackets,
    ),
    *(
        Rule(re.escape(mark), write=f"-{name}-")
        for mark, name in zip("(){}[]", ("LRB", "RRB", "LCB", "RCB", "LSB", "RSB"), strict=True)
    ),
    Rule("-{3,4}", write="--"),
    Rule("-+|_+|@+"),
    Rule("\\.{3,5}|(?:\\.[ \u00a0]){2,4}\\.|\u2026", write="..."),
    Rule("[?!]+"),
    Rule("(?:\\\\\\*)+|\\*+"),
    Rule("[,;:.=/&|%~^+\\\\]"),
    Rule(f"[{SYMBOL}]"),
    Rule(f"{COMPOUND}\\.", COMMA),
    Rule(COMPOUND),
    Rule(HYPHENATED),
    Rule(f"[A-Z]+(?:(?:[+]|{AMP})[A-Z]+)+", write=_ampersand),
    Rule("'", "[A-Za-z][^ \t\n\r\u00a0]", "`"),
    Rule(IS, write=_quotes),
    Rule("``|''|`"),
    Rule("[\u0091-\u0094\u2018-\u201f\u00ab\u00bb\u2039\u203a]{1,2}", write=_quotes),
    Rule("<<|>>"),
)
