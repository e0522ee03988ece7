// The vocabulary of the lexer: commands, names and signs, and what they mean.
#pragma once

#include <string_view>

namespace whet::text {

struct Meaning {
  std::string_view from, to;
};

/// Commands that only say how something looks.
inline constexpr std::string_view kIgnored[] = {
    "left",  "right", "big",   "Big",    "bigl",   "bigr",    "Bigl",         "Bigr",      "bigg",   "Bigg",
    "biggl", "biggr", "Biggl", "Biggr",  "quad",   "qquad",   "displaystyle", "textstyle", "limits", "boxed",
    "fbox",  "rm",    "bf",    "hspace", "middle", "enspace", "thinspace",    "small",     "large",  "Large",
};
inline constexpr std::string_view kTextBoxes[] = {"text",   "textbf", "textit", "textrm",    "texttt",
                                                  "textsf", "mbox",   "hbox",   "textnormal"};
inline constexpr std::string_view kFonts[] = {"mathrm",     "mathbf",       "mathit", "mathsf",  "mathtt",
                                              "boldsymbol", "operatorname", "mathbb", "mathcal", "bm"};
inline constexpr Meaning kSymbols[] = {
    {"cdot", "*"},
    {"times", "*"},
    {"ast", "*"},
    {"div", "/"},
    {"le", "<="},
    {"leq", "<="},
    {"leqslant", "<="},
    {"ge", ">="},
    {"geq", ">="},
    {"geqslant", ">="},
    {"lt", "<"},
    {"gt", ">"},
    {"ne", "!="},
    {"neq", "!="},
    {"approx", "approx"},
    {"in", "in"},
    {"cup", "cup"},
    {"bigcup", "cup"},
    {"setminus", "setminus"},
    {"backslash", "setminus"},
    {"pm", "pm"},
    {"mp", "mp"},
    {"frac", "frac"},
    {"dfrac", "frac"},
    {"tfrac", "frac"},
    {"cfrac", "frac"},
    {"sfrac", "frac"},
    {"nicefrac", "frac"},
    {"binom", "binom"},
    {"dbinom", "binom"},
    {"tbinom", "binom"},
    {"lbrace", "\\{"},
    {"rbrace", "\\}"},
    {"langle", "<("},
    {"rangle", ">)"},
    {"lfloor", "lfloor"},
    {"rfloor", "rfloor"},
    {"lceil", "lceil"},
    {"rceil", "rceil"},
    {"vert", "|"},
    {"lvert", "|"},
    {"rvert", "|"},
    {"mid", "mid"},
    {"degree", "deg"},
    {"circ", "deg"},
    {"colon", ":"},
    {"lbrack", "["},
    {"rbrack", "]"},
    {"emptyset", "emptyset"},
    {"varnothing", "emptyset"},
    {"angle", "angle"},
    {"land", "and"},
    {"lor", "or"},
    {"wedge", "and"},
    {"vee", "or"},
    {"percent", "%"},
    {"lparen", "("},
    {"rparen", ")"},
    {"simeq", "approx"},
    {"equiv", "="},
    {"coloneqq", "="},
};
inline constexpr std::string_view kNames[] = {
    "pi",     "theta", "alpha", "beta",  "gamma", "delta", "epsilon", "varepsilon", "phi",      "varphi",
    "lambda", "mu",    "omega", "rho",   "sigma", "tau",   "zeta",    "eta",        "kappa",    "nu",
    "xi",     "chi",   "psi",   "Gamma", "Delta", "Theta", "Lambda",  "Xi",         "Pi",       "Sigma",
    "Phi",    "Psi",   "Omega", "infty", "ell",   "hbar",  "iota",    "upsilon",    "vartheta",
};
inline constexpr std::string_view kFunctions[] = {
    "sin",  "cos",  "tan",  "cot",  "sec", "csc", "arcsin", "arccos", "arctan",
    "sinh", "cosh", "tanh", "coth", "ln",  "log", "lg",     "exp",    "sqrt",
};
/// Names of plain text.
inline constexpr Meaning kPlainNames[] = {
    {"pi", "\\pi"},       {"Pi", "\\pi"},       {"inf", "\\infty"}, {"infinity", "\\infty"}, {"oo", "\\infty"},
    {"infty", "\\infty"}, {"theta", "\\theta"}, {"asin", "arcsin"}, {"acos", "arccos"},      {"atan", "arctan"}};
inline constexpr Meaning kSigns[] = {
    {"\xE2\x88\x92", "-"},
    {"\xE2\x80\x93", "-"},
    {"\xC3\x97", "*"},
    {"\xC3\xB7", "/"},
    {"\xC2\xB7", "*"},
    {"\xE2\x8B\x85", "*"},
    {"\xE2\x88\x99", "*"},
    {"\xE2\x89\xA4", "<="},
    {"\xE2\x89\xA5", ">="},
    {"\xE2\x89\xA0", "!="},
    {"\xE2\x89\x88", "approx"},
    {"\xE2\x88\xAA", "cup"},
    {"\xE2\x88\x88", "in"},
    {"\xC2\xB1", "pm"},
    {"\xE2\x88\x93", "mp"},
    {"\xC2\xB0", "deg"},
    {"\xE2\x88\x85", "emptyset"},
    {"\xE2\x9F\xA8", "<("},
    {"\xE2\x9F\xA9", ">)"},
    {"\xE2\x88\x96", "setminus"},
    {"\xE2\x88\xA0", "angle"},
    {"\xEF\xBC\x8C", ","},
};
inline constexpr Meaning kSignNames[] = {{"\xCF\x80", "\\pi"},    {"\xE2\x88\x9E", "\\infty"}, {"\xCE\xB8", "\\theta"},
                                         {"\xCE\xB1", "\\alpha"}, {"\xCE\xB2", "\\beta"},      {"\xCE\xBB", "\\lambda"},
                                         {"\xCF\x86", "\\phi"},   {"\xCF\x89", "\\omega"}};
/// Raised digits and other signs that stand for a piece of plain text.
inline constexpr Meaning kPlainText[] = {
    {"\xC2\xB2", "^2"},    {"\xC2\xB3", "^3"},    {"\xE2\x81\xB4", "^4"}, {"\xE2\x81\xB5", "^5"}, {"\xC2\xBD", "(1/2)"},
    {"\xC2\xBC", "(1/4)"}, {"\xC2\xBE", "(3/4)"}, {"\xC2\xA0", " "},      {"\xE2\x80\xAF", " "},  {"\xE2\x80\x89", " "},
    {"\xE2\x80\x8B", ""},  {"\xC2\xA3", ""},      {"\xE2\x82\xAC", ""}};

}  // namespace whet::text
