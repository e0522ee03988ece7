// Normal forms as LaTeX.
#include <algorithm>

#include "text/algebra.h"

namespace whet::text {

bool Algebra::printed_before(const Monomial& a, const Monomial& b) const {
  // Higher degree in letters first; then letters by name; then rationals before radicals before i.
  const auto degree = [this](const Monomial& monomial) {
    mpq_class total = 0;
    for (const auto& [id, exponent] : monomial) {
      if (!atoms_[id].is_constant) total += mpq_class(exponent.num, exponent.den);
    }
    return total;
  };
  const mpq_class degree_a = degree(a), degree_b = degree(b);
  if (degree_a != degree_b) return degree_a > degree_b;
  using Key = std::pair<std::string_view, Exponent>;
  const auto keys = [this](const Monomial& monomial, bool letters_only) {
    std::vector<Key> out;
    for (const auto& [id, exponent] : monomial) {
      if (atoms_[id].is_constant != letters_only) out.emplace_back(atoms_[id].text, exponent);
    }
    std::sort(out.begin(), out.end(), [](const Key& x, const Key& y) { return x.first < y.first; });
    return out;
  };
  for (const bool letters_only : {true, false}) {
    const auto left = keys(a, letters_only), right = keys(b, letters_only);
    for (std::size_t i = 0; i < left.size() && i < right.size(); ++i) {
      if (left[i].first != right[i].first) return left[i].first < right[i].first;
      if (left[i].second != right[i].second) return right[i].second < left[i].second;
    }
    if (left.size() != right.size()) return letters_only ? left.size() > right.size() : left.size() < right.size();
  }
  return false;
}

const Monomial& Algebra::leading(const Polynomial& p) const {
  const Monomial* best = nullptr;
  for (const auto& [monomial, coefficient] : p) {
    if (best == nullptr || printed_before(monomial, *best)) best = &monomial;
  }
  return *best;
}

std::string Algebra::factor_text(int id, Exponent exponent) {
  const Atom& a = atoms_[id];
  if (a.kind == Kind::kPower && exponent != Exponent{1, 1}) {
    const Quantity inside = a.inside;
    const std::string base_text = a.base_text;
    return base_text + "^{" + text(multiply(inside, number(mpq_class(exponent.num, exponent.den)))) + "}";
  }
  const auto raised = [&](const std::string& base) {
    if (exponent == Exponent{1, 1}) return base;
    if (exponent == Exponent{1, 2}) return "\\sqrt{" + a.text + "}";
    const std::string number = mpq_class(exponent.num, exponent.den).get_str();
    return base + (number.size() == 1 ? "^" + number : "^{" + number + "}");
  };
  if (a.kind == Kind::kRoot) {
    if (exponent.num == 1) {
      return exponent.den == 2 ? "\\sqrt{" + a.text + "}"
                               : "\\sqrt[" + std::to_string(exponent.den) + "]{" + a.text + "}";
    }
    return raised("(" + a.text + ")");
  }
  if (exponent == Exponent{1, 1}) return a.text;
  const bool is_name = a.kind == Kind::kFree && (a.text.size() == 1 || a.text == "\\pi" || a.text == "\\infty" ||
                                                 (a.letters.size() == 1 && a.letters[0] == a.text));
  return raised(is_name ? a.text : "(" + a.text + ")");
}

std::string Algebra::term_text(const Monomial& monomial, const mpz_class& coefficient) {
  std::vector<std::string> parts;
  if (coefficient != 1 || monomial.empty()) parts.push_back(coefficient.get_str());
  // Radicals of primes under one root for each degree.
  std::map<int, mpz_class> radicands;
  struct Factor {
    int rank;
    std::string_view order;
    std::string text;
  };
  std::vector<Factor> rest;
  for (const auto& [id, exponent] : monomial) {
    const Atom& a = atoms_[id];
    if (a.kind == Kind::kPrime) {
      mpz_class part;
      mpz_pow_ui(part.get_mpz_t(), a.prime.get_mpz_t(), static_cast<unsigned long>(exponent.num));
      const auto entry = radicands.emplace(exponent.den, 1).first;
      entry->second *= part;
    } else {
      const int rank = a.kind == Kind::kImaginary ? 3 : a.kind == Kind::kFree && a.is_constant ? 1 : 2;
      rest.push_back({rank, a.text, factor_text(id, exponent)});
    }
  }
  for (const auto& [n, radicand] : radicands) {
    parts.push_back("\\sqrt" + (n == 2 ? std::string() : "[" + std::to_string(n) + "]") + "{" + radicand.get_str() +
                    "}");
  }
  std::sort(rest.begin(), rest.end(),
            [](const Factor& x, const Factor& y) { return x.rank != y.rank ? x.rank < y.rank : x.order < y.order; });
  for (Factor& factor : rest) parts.push_back(std::move(factor.text));
  std::string out;
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  for (const std::string& part : parts) {
    if (!out.empty()) {
      // "\pi r" needs its blank; letters and digits side by side would read as words and numbers.
      std::size_t command = out.size();
      while (command > 0 && is_letter(out[command - 1])) --command;
      const bool ends_command = command > 0 && command < out.size() && out[command - 1] == '\\';
      const char first = part[0];
      if (ends_command && is_letter(first)) {
        out += ' ';
      } else if (is_digit(first) || (is_letter(out.back()) && (is_letter(first) || first == '(')) ||
                 out.back() == '!' || first == '|') {
        out += '*';
      }
    }
    out += part;
  }
  return out;
}

std::string Algebra::polynomial_text(const Polynomial& p) {
  std::vector<const Polynomial::value_type*> terms;
  for (const auto& term : p) terms.push_back(&term);
  std::sort(terms.begin(), terms.end(),
            [this](const auto* a, const auto* b) { return printed_before(a->first, b->first); });
  std::string out;
  for (const auto* term : terms) {
    const mpz_class coefficient = term->second.get_num();
    if (coefficient < 0) {
      out += '-';
    } else if (!out.empty()) {
      out += '+';
    }
    out += term_text(term->first, abs(coefficient));
  }
  return out.empty() ? "0" : out;
}

std::string Algebra::text(const Quantity& a) {
  if (is_rational(a)) return rational(a).get_str();
  const mpq_class c = content(a.num);
  mpq_class below = c.get_den();
  Polynomial num = scaled(a.num, below, budget_);
  Polynomial den = scaled(a.den, below, budget_);
  if (!is_constant(den) && den.at(leading(den)) < 0) {
    num = scaled(num, -1, budget_);
    den = scaled(den, -1, budget_);
  }
  budget_.spend(8 * (num.size() + den.size()));
  std::string above = polynomial_text(num);
  if (is_constant(den) && constant_value(den) == 1) return above;
  if (num.size() > 1) above = "(" + above + ")";
  std::string under = polynomial_text(den);
  const auto& [first, coefficient] = *den.begin();
  const bool is_simple = den.size() == 1 && (first.empty() || (coefficient == 1 && first.size() == 1));
  return above + "/" + (is_simple ? under : "(" + under + ")");
}

}  // namespace whet::text
