"""Writes src/tokenizer/unicode_{categories,scripts,canonical}.cpp: what Hugging Face tokenizers takes each code point for, asked of the library itself.

    pip install tokenizers==0.23.3
    python scripts/make_unicode_data.py

That library is built of parts that each bring Unicode tables of another age: Oniguruma (the regular expressions of
tokenizer.json), Rust's own (Digits), a crate for Punctuation, one for Whitespace and the added tokens' word borders, and one
for composition (NFC). Equal ids for every text need the same tables, whatever the distribution's libraries know.
"""

import pathlib
import unicodedata

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

OUTPUT = pathlib.Path(__file__).parents[1] / "src/tokenizer"

# In the order of enum Category.
CATEGORIES = "Cn Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co".split()
SCRIPTS = (
    "Arabic Armenian Bengali Bopomofo Common Cyrillic Devanagari Ethiopic Georgian Greek Gujarati Gurmukhi Han Hangul Hebrew "
    "Hiragana Inherited Kannada Katakana Khmer Lao Latin Malayalam Mongolian Myanmar Sinhala Tamil Telugu Thai Tibetan"
).split()

ALL = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
TEXT = "".join(map(chr, ALL))


def members(regex):
    """The code points that one character of a regular expression matches."""
    found = set()
    for run, _ in pre_tokenizers.Split(Regex(regex), "removed", invert=True).pre_tokenize_str(TEXT):
        found.update(map(ord, run))
    return found


def cut_after_a(pre_tokenizer):
    """The code points that a pre-tokenizer parts from the letter before them."""
    return {c for c in ALL if len(pre_tokenizer.pre_tokenize_str("a" + chr(c))) == 2}


def word_characters():
    """\\w of Whitespace: what stays with the letter before it, and is not dropped as white space."""
    found = set()
    for c in ALL:
        pieces = pre_tokenizers.Whitespace().pre_tokenize_str("a" + chr(c))
        if len(pieces) == 1 and len(pieces[0][0]) == 2:
            found.add(c)
    return found


def ranges(codes):
    result = []
    for c in sorted(codes):
        # The surrogates, which no text contains, interrupt no range.
        if result and (c == result[-1][1] + 1 or (result[-1][1] == 0xD7FF and c == 0xE000)):
            result[-1][1] = c
        else:
            result.append([c, c])
    return [end for pair in result for end in pair]


def combining_classes():
    """By order of precedence against marks whose class is known and old."""
    decompose = normalizers.NFD().normalize_str
    reference = {}
    for c in ALL:
        k = unicodedata.combining(chr(c))
        # 240 is the last class and U+0345 its only mark: a mark that the library knows moves before it.
        if k and k not in reference and (k == 240 or decompose("a\u0345" + chr(c)) == "a" + chr(c) + "\u0345"):
            reference[k] = chr(c)
    known = sorted(reference)
    result = {}
    for c in ALL:
        s = chr(c)
        if decompose(s) != s:
            continue
        moves = s != "\u0345" and decompose("a\u0345" + s) == "a" + s + "\u0345"
        stays_behind = s != reference[known[0]] and decompose("a" + s + reference[known[0]]) == "a" + reference[known[0]] + s
        if not moves and not stays_behind:
            continue
        # Two marks of one class never change places.
        same = [k for k, r in reference.items() if decompose("a" + r + s) == "a" + r + s and decompose("a" + s + r) == "a" + s + r]
        assert len(same) == 1, (hex(c), same)
        result[c] = same[0]
        assert unicodedata.combining(s) == result[c], (hex(c), unicodedata.combining(s), result[c])
    return result


def decompositions():
    """(code point, first, second or 0, whether the two compose to it again), Hangul left to arithmetic."""
    decompose, compose = normalizers.NFD().normalize_str, normalizers.NFC().normalize_str
    result = []
    for c in ALL:
        if 0xAC00 <= c <= 0xD7A3 or decompose(chr(c)) == chr(c):
            continue
        parts = [int(x, 16) for x in unicodedata.decomposition(chr(c)).split()]
        assert 1 <= len(parts) <= 2
        text = "".join(map(chr, parts))
        assert decompose(text) == decompose(chr(c))
        result.append((c, parts[0], parts[1] if len(parts) == 2 else 0, compose(text) == chr(c)))
    return result


def array(name, values, comment, counted=True):
    lines, line = [], " "
    for value in values:
        item = f" {value:#x}," if value > 9 else f" {value},"
        if len(line) + len(item) > 119:
            lines.append(line)
            line = " "
        line += item
    lines.append(line)
    text = f"// {comment}\nconst std::uint32_t {name}[] = {{\n" + "\n".join(lines) + "\n};\n"
    return text + f"const std::size_t {name}Count = std::size({name});\n" * counted


def runs(value_of):
    """(code point, value) wherever the value changes."""
    result, last = [], None
    for c in ALL:
        value = value_of(c)
        if value != last:
            result.append((c, value))
        last = value
    return result


def write(name, parts):
    head = f"""// Made by scripts/make_unicode_data.py from tokenizers {tokenizers.__version__}; not to be edited.
#include "tokenizer/unicode_data.h"

#include <iterator>

namespace whet::tokenizer::unicode_data {{
"""
    (OUTPUT / name).write_text("\n".join([head, *parts, "}  // namespace whet::tokenizer::unicode_data\n"]))


def main():
    category = {c: i for i, name in enumerate(CATEGORIES) for c in members(f"\\p{{{name}}}")}
    assert len(category) == len(ALL)

    def of(names):
        wanted = names.split()
        return {c for c in ALL if CATEGORIES[category[c]] in wanted or CATEGORIES[category[c]][0] in wanted}

    alphabetic = members("\\p{Alphabetic}")
    assert alphabetic >= of("L Nl")
    word = members("\\w")
    numeric = cut_after_a(pre_tokenizers.Digits(True))
    rust_word = word_characters()
    latin_word = word - (alphabetic | of("M Nd Pc"))
    assert latin_word == {0xB2, 0xB3, 0xB9, 0xBC, 0xBD, 0xBE} and word >= alphabetic | of("M Nd Pc")
    assert numeric >= of("N")
    assert members("\\s") == {c for c in ALL if c in (0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0x20)
                              or 9 <= c <= 13 or 0x2000 <= c <= 0x200A}
    assert members("\\d") == of("Nd")
    assert members("(?i:s)") == {0x53, 0x73, 0x17F} and members("(?i:k)") == {0x4B, 0x6B, 0x212A}
    for c in range(ord("a"), ord("z") + 1):
        assert chr(c) in "ks" or members(f"(?i:{chr(c)})") == {c, c - 32}
    marks = combining_classes()
    parts = []
    parts.append(array("kCategoryRuns", [c << 5 | v for c, v in runs(lambda c: category[c])],
                       "Code point << 5 | category, wherever the category changes."))
    parts.append(array("kOtherAlphabetic", ranges(alphabetic - of("L Nl")), "Alphabetic, but neither L nor Nl."))
    parts.append(array("kOtherNumeric", ranges(numeric - of("N")), "Numeric to Digits, but not N."))
    parts.append(array("kPunctuation", ranges(cut_after_a(pre_tokenizers.Punctuation("isolated"))), "Punctuation to Punctuation."))
    parts.append(array("kOtherWord", ranges(rust_word - word), "Of a word to Whitespace and added tokens, but not \\w."))
    parts.append(array("kNotWord", ranges(word - rust_word), "\\w, but not of a word to Whitespace and added tokens."))
    write("unicode_categories.cpp", parts)
    parts = []
    for script in SCRIPTS:
        parts.append(array(f"k{script}", ranges(members(f"\\p{{{script}}}")), f"The script {script}.", counted=False))
    names = "".join(f'    {{"{s}", k{s}, std::size(k{s})}},\n' for s in SCRIPTS)
    parts.append(f"const Script kScripts[] = {{\n{names}}};\nconst std::size_t kScriptsCount = std::size(kScripts);\n")
    write("unicode_scripts.cpp", parts)
    parts = []
    parts.append(array("kCombiningRuns", [c << 8 | v for c, v in runs(lambda c: marks.get(c, 0))],
                       "Code point << 8 | canonical combining class, wherever the class changes."))
    parts.append(array("kDecompositions", [v for c, a, b, again in decompositions() for v in (c << 1 | again, a, b)],
                       "Code point << 1 | whether the two compose to it, first, second or 0."))
    write("unicode_canonical.cpp", parts)


if __name__ == "__main__":
    main()
