#include "text/polynomial.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "text/expression.h"

namespace whet::text {
namespace {

constexpr int kMaxExponent = 1000000;

Exponent lowest(long num, long den) {
  const long divisor = std::gcd(num, den);
  num /= divisor;
  den /= divisor;
  if (num > kMaxExponent || num < -kMaxExponent || den > kMaxExponent) throw TooHard{};
  return {static_cast<int>(num), static_cast<int>(den)};
}

std::size_t limbs(const mpq_class& value) { return mpz_size(value.get_num_mpz_t()) + mpz_size(value.get_den_mpz_t()); }

void check_size(const mpq_class& value) {
  if (limbs(value) * GMP_NUMB_BITS > 2 * kMaxNumberBits) throw TooHard{};
}

std::set<int> symbols_of(const Polynomial& p) {
  std::set<int> symbols;
  for (const auto& [monomial, coefficient] : p) {
    for (const auto& [symbol, exponent] : monomial) symbols.insert(symbol);
  }
  return symbols;
}

/// The exponents of one symbol multiplied by num/den.
Polynomial rescaled(const Polynomial& p, int symbol, int num, int den) {
  if (num == den) return p;
  Polynomial out;
  for (const auto& [monomial, coefficient] : p) {
    Monomial changed = monomial;
    for (auto& [s, exponent] : changed) {
      if (s == symbol) exponent = lowest(static_cast<long>(exponent.num) * num, static_cast<long>(exponent.den) * den);
    }
    out.emplace(std::move(changed), coefficient);
  }
  return out;
}

/// Coefficients by powers of one symbol, whose exponents are whole.
std::map<int, Polynomial> by_powers(const Polynomial& p, int symbol) {
  std::map<int, Polynomial> out;
  for (const auto& [monomial, coefficient] : p) {
    out[exponent_of(monomial, symbol).num].emplace(without(monomial, symbol), coefficient);
  }
  return out;
}

Polynomial times_power(const Polynomial& p, int symbol, int power) {
  if (power == 0) return p;
  const Monomial factor{{symbol, {power, 1}}};
  Polynomial out;
  for (const auto& [monomial, coefficient] : p) out.emplace(product(monomial, factor), coefficient);
  return out;
}

/// Integer coefficients without a common factor.
Polynomial primitive(const Polynomial& p, Budget& budget) { return p.empty() ? p : scaled(p, 1 / content(p), budget); }

Polynomial whole_divisor(const Polynomial& a, const Polynomial& b, Budget& budget);

Polynomial divisor_of_all(const std::map<int, Polynomial>& parts, Budget& budget) {
  Polynomial divisor;
  for (const auto& [power, part] : parts) {
    divisor = divisor.empty() ? part : whole_divisor(divisor, part, budget);
    if (is_constant(divisor)) return constant(1);
  }
  return divisor;
}

/// Divides exactly; what does not divide is a mistake of this file.
Polynomial exact(const Polynomial& a, const Polynomial& b, Budget& budget) {
  auto [result, divides] = quotient(a, b, budget);
  if (!divides) throw TooHard{};
  return result;
}

/// The remainder of a by b in one symbol, times a power of b's leading coefficient that keeps it whole.
Polynomial pseudo_remainder(Polynomial a, const Polynomial& b, int symbol, Budget& budget) {
  const auto divisor = by_powers(b, symbol);
  const auto& [degree, lead] = *divisor.rbegin();
  while (!a.empty()) {
    const auto parts = by_powers(a, symbol);
    const auto& [power, top] = *parts.rbegin();
    if (power < degree) break;
    const Polynomial subtrahend = times_power(product(b, top, budget), symbol, power - degree);
    a = sum(product(a, lead, budget), scaled(subtrahend, -1, budget), budget);
    a = primitive(a, budget);
  }
  return a;
}

/// common_divisor for whole exponents: the primitive remainder sequence, one symbol after the other.
Polynomial whole_divisor(const Polynomial& a, const Polynomial& b, Budget& budget) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  if (is_constant(a) || is_constant(b)) return constant(1);
  budget.spend(a.size() + b.size());
  const std::set<int> in_a = symbols_of(a), in_b = symbols_of(b);
  for (const int symbol : in_a) {
    if (!in_b.contains(symbol)) return whole_divisor(divisor_of_all(by_powers(a, symbol), budget), b, budget);
  }
  for (const int symbol : in_b) {
    if (!in_a.contains(symbol)) return whole_divisor(a, divisor_of_all(by_powers(b, symbol), budget), budget);
  }
  const int symbol = *in_a.begin();
  const Polynomial content_a = divisor_of_all(by_powers(a, symbol), budget);
  const Polynomial content_b = divisor_of_all(by_powers(b, symbol), budget);
  Polynomial high = primitive(exact(a, content_a, budget), budget);
  Polynomial low = primitive(exact(b, content_b, budget), budget);
  const auto degree = [symbol](const Polynomial& p) { return by_powers(p, symbol).rbegin()->first; };
  if (degree(high) < degree(low)) std::swap(high, low);
  while (!low.empty() && degree(low) > 0) {
    Polynomial rest = pseudo_remainder(std::move(high), low, symbol, budget);
    high = std::move(low);
    if (rest.empty()) {
      low.clear();
      break;
    }
    low = primitive(exact(rest, divisor_of_all(by_powers(rest, symbol), budget), budget), budget);
  }
  Polynomial result = whole_divisor(content_a, content_b, budget);
  // A remainder without the symbol: the primitive parts have nothing in common.
  if (low.empty()) result = product(result, high, budget);
  return primitive(result, budget);
}

}  // namespace

Exponent make_exponent(const mpq_class& value) {
  if (!value.get_num().fits_sint_p() || !value.get_den().fits_sint_p()) throw TooHard{};
  return lowest(value.get_num().get_si(), value.get_den().get_si());
}

Exponent operator+(Exponent a, Exponent b) {
  if (a.den == b.den) return lowest(static_cast<long>(a.num) + b.num, a.den);
  return lowest(static_cast<long>(a.num) * b.den + static_cast<long>(b.num) * a.den, static_cast<long>(a.den) * b.den);
}

Exponent operator*(Exponent a, int k) { return lowest(static_cast<long>(a.num) * k, a.den); }

bool operator<(Exponent a, Exponent b) { return static_cast<long>(a.num) * b.den < static_cast<long>(b.num) * a.den; }

bool MonomialOrder::operator()(const Monomial& a, const Monomial& b) const {
  // As rows of exponents over all symbols: the first difference decides.
  for (std::size_t i = 0, j = 0; i < a.size() || j < b.size();) {
    const int in_a = i < a.size() ? a[i].first : b[j].first + 1;
    const int in_b = j < b.size() ? b[j].first : a[i].first + 1;
    const Exponent left = in_a <= in_b ? a[i].second : Exponent{};
    const Exponent right = in_b <= in_a ? b[j].second : Exponent{};
    if (left != right) return left < right;
    i += in_a <= in_b;
    j += in_b <= in_a;
  }
  return false;
}

Monomial product(const Monomial& a, const Monomial& b) {
  Monomial out;
  out.reserve(a.size() + b.size());
  for (std::size_t i = 0, j = 0; i < a.size() || j < b.size();) {
    if (j == b.size() || (i < a.size() && a[i].first < b[j].first)) {
      out.push_back(a[i++]);
    } else if (i == a.size() || b[j].first < a[i].first) {
      out.push_back(b[j++]);
    } else {
      const Exponent exponent = a[i].second + b[j].second;
      if (exponent.num != 0) out.emplace_back(a[i].first, exponent);
      ++i;
      ++j;
    }
  }
  return out;
}

Exponent exponent_of(const Monomial& monomial, int symbol) {
  for (const auto& [s, exponent] : monomial) {
    if (s == symbol) return exponent;
  }
  return {};
}

Monomial without(const Monomial& monomial, int symbol) {
  Monomial out;
  for (const auto& factor : monomial) {
    if (factor.first != symbol) out.push_back(factor);
  }
  return out;
}

Polynomial constant(const mpq_class& value) {
  Polynomial out;
  if (value != 0) out.emplace(Monomial{}, value);
  return out;
}

bool is_constant(const Polynomial& p) { return p.empty() || (p.size() == 1 && p.begin()->first.empty()); }

mpq_class constant_value(const Polynomial& p) { return p.empty() ? mpq_class(0) : p.begin()->second; }

void add_term(Polynomial& p, const Monomial& monomial, const mpq_class& coefficient, Budget& budget) {
  budget.spend(1 + monomial.size() + limbs(coefficient));
  if (coefficient == 0) return;
  const auto [entry, is_new] = p.emplace(monomial, coefficient);
  if (is_new) return;
  entry->second += coefficient;
  check_size(entry->second);
  if (entry->second == 0) p.erase(entry);
}

Polynomial sum(const Polynomial& a, const Polynomial& b, Budget& budget) {
  Polynomial out = a;
  budget.spend(a.size());
  for (const auto& [monomial, coefficient] : b) add_term(out, monomial, coefficient, budget);
  return out;
}

Polynomial product(const Polynomial& a, const Polynomial& b, Budget& budget) {
  Polynomial out;
  for (const auto& [left, x] : a) {
    for (const auto& [right, y] : b) {
      budget.spend(limbs(x) * limbs(y));
      const mpq_class coefficient = x * y;
      check_size(coefficient);
      add_term(out, product(left, right), coefficient, budget);
    }
  }
  return out;
}

Polynomial scaled(const Polynomial& p, const mpq_class& factor, Budget& budget) {
  return product(p, constant(factor), budget);
}

Polynomial whole_power(const Polynomial& p, int exponent, Budget& budget) {
  Polynomial result = constant(1);
  for (int i = 0; i < exponent; ++i) result = product(result, p, budget);
  return result;
}

std::size_t bits(const mpq_class& value) {
  return std::max(mpz_sizeinbase(value.get_num_mpz_t(), 2), mpz_sizeinbase(value.get_den_mpz_t(), 2));
}

mpq_class number_power(const mpq_class& base, unsigned long exponent) {
  if (exponent > kMaxNumberBits || bits(base) * exponent > kMaxNumberBits) throw TooHard{};
  mpq_class result;
  mpz_pow_ui(result.get_num_mpz_t(), base.get_num_mpz_t(), exponent);
  mpz_pow_ui(result.get_den_mpz_t(), base.get_den_mpz_t(), exponent);
  return result;
}

std::pair<Polynomial, bool> quotient(const Polynomial& a, const Polynomial& b, Budget& budget) {
  if (b.empty()) throw TooHard{};
  Polynomial rest = a, out;
  const auto& [lead, coefficient] = *b.rbegin();
  while (!rest.empty()) {
    const auto& [top, value] = *rest.rbegin();
    Monomial step = top;
    for (const auto& [symbol, exponent] : lead) step = product(step, Monomial{{symbol, exponent * -1}});
    for (const auto& [symbol, exponent] : step) {
      if (exponent.num < 0) return {{}, false};
    }
    const Polynomial term{{step, value / coefficient}};
    add_term(out, step, term.begin()->second, budget);
    rest = sum(rest, scaled(product(b, term, budget), -1, budget), budget);
  }
  return {out, true};
}

Polynomial common_divisor(const Polynomial& a, const Polynomial& b, Budget& budget) {
  // Roots of symbols as symbols: with x = t^n every exponent is whole, and what was coprime stays so.
  std::map<int, int> denominators;
  for (const Polynomial* p : {&a, &b}) {
    for (const auto& [monomial, coefficient] : *p) {
      for (const auto& [symbol, exponent] : monomial) {
        const auto entry = denominators.emplace(symbol, 1).first;
        entry->second = lowest(std::lcm(static_cast<long>(entry->second), static_cast<long>(exponent.den)), 1).num;
      }
    }
  }
  Polynomial left = a, right = b;
  for (const auto& [symbol, n] : denominators) {
    left = rescaled(left, symbol, n, 1);
    right = rescaled(right, symbol, n, 1);
  }
  Polynomial divisor = whole_divisor(left, right, budget);
  for (const auto& [symbol, n] : denominators) divisor = rescaled(divisor, symbol, 1, n);
  return divisor;
}

std::pair<Polynomial, bool> square_root(const Polynomial& p, Budget& budget) {
  if (p.empty()) return {p, true};
  const auto root_of_monomial = [](Monomial monomial) {
    for (auto& [symbol, exponent] : monomial) exponent = lowest(exponent.num, 2L * exponent.den);
    return monomial;
  };
  const auto& [top, value] = *p.rbegin();
  const mpz_class num = value.get_num(), den = value.get_den();
  if (mpz_perfect_square_p(num.get_mpz_t()) == 0 || mpz_perfect_square_p(den.get_mpz_t()) == 0) return {{}, false};
  for (const auto& [symbol, exponent] : top) {
    if (exponent.den % 2 == 0 || exponent.num % 2 != 0) return {{}, false};
  }
  Polynomial root{{root_of_monomial(top), mpq_class(sqrt(num), sqrt(den))}};
  const Polynomial twice_lead = scaled(root, 2, budget);
  // Each round settles the next term of the root; a root has no more terms than its square.
  for (std::size_t round = 0; round <= p.size(); ++round) {
    const Polynomial rest = sum(p, scaled(product(root, root, budget), -1, budget), budget);
    if (rest.empty()) return {root, true};
    const auto [term, divides] = quotient(Polynomial{*rest.rbegin()}, twice_lead, budget);
    if (!divides || root.contains(term.begin()->first)) return {{}, false};
    root = sum(root, term, budget);
  }
  return {{}, false};
}

mpq_class content(const Polynomial& p) {
  mpz_class numerators = 0, denominators = 1;
  for (const auto& [monomial, coefficient] : p) {
    numerators = gcd(numerators, coefficient.get_num());
    denominators = lcm(denominators, coefficient.get_den());
    check_size(mpq_class(denominators));
  }
  mpq_class result(numerators, denominators);
  result.canonicalize();
  return result;
}

}  // namespace whet::text
