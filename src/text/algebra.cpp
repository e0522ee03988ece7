#include "text/algebra.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "text/expression.h"

namespace whet::text {
namespace {

constexpr int kMaxConjugates = 16;
constexpr std::size_t kMaxTerms = 2000;

void merge(std::vector<std::string>& into, const std::vector<std::string>& from) {
  std::set<std::string> all(into.begin(), into.end());
  all.insert(from.begin(), from.end());
  into.assign(all.begin(), all.end());
}

}  // namespace

int Algebra::atom(Atom made) {
  const std::string key = static_cast<char>('a' + static_cast<int>(made.kind)) + made.text;
  const auto found = index_.find(key);
  if (found != index_.end()) return found->second;
  budget_.spend(key.size());
  atoms_.push_back(std::move(made));
  const int id = static_cast<int>(atoms_.size()) - 1;
  index_.emplace(key, id);
  return id;
}

/// From which exponent on the relation of an algebraic symbol applies.
int Algebra::period(int id) const {
  const Kind kind = atoms_[id].kind;
  return kind == Kind::kPrime || kind == Kind::kRoot ? 1 : 2;
}

Quantity Algebra::symbol(const std::string& name) {
  Atom made;
  made.text = name;
  if (name == "i") {
    made.kind = Kind::kImaginary;
    made.is_constant = true;
  } else if (name == "\\pi" || name == "e") {
    made.is_constant = made.is_positive = true;
  } else if (name == "\\infty") {
    made.is_constant = true;
  } else {
    made.letters = {name};
  }
  const bool is_infinity = made.text == "\\infty";
  const int id = atom(std::move(made));
  if (is_infinity) infinity_ = id;
  return of_atom(id);
}

Polynomial Algebra::normal(const Polynomial& p) {
  Polynomial out;
  std::vector<std::pair<Monomial, mpq_class>> work(p.begin(), p.end());
  while (!work.empty()) {
    auto [monomial, coefficient] = std::move(work.back());
    work.pop_back();
    budget_.spend(1 + monomial.size());
    int reducible = -1;
    for (const auto& [id, exponent] : monomial) {
      if (is_algebraic(id) && exponent.num >= static_cast<long>(exponent.den) * period(id)) {
        reducible = id;
        break;
      }
    }
    if (reducible < 0) {
      add_term(out, monomial, coefficient, budget_);
      if (out.size() > kMaxTerms) throw TooHard{};
      continue;
    }
    const Atom& a = atoms_[reducible];
    const int step = period(reducible);
    const Exponent exponent = exponent_of(monomial, reducible);
    const int times = exponent.num / exponent.den / step;
    monomial = product(monomial, Monomial{{reducible, {-times * step, 1}}});
    if (a.kind == Kind::kPrime) {
      coefficient *= number_power(a.prime, static_cast<unsigned long>(times));
      work.emplace_back(std::move(monomial), coefficient);
    } else if (a.kind == Kind::kImaginary) {
      work.emplace_back(std::move(monomial), times % 2 == 0 ? coefficient : mpq_class(-coefficient));
    } else {
      if (times > kMaxRoot) throw TooHard{};
      Polynomial relation;
      if (a.kind == Kind::kSine) {
        relation = sum(constant(1), Polynomial{{Monomial{{a.cosine, {2, 1}}}, -1}}, budget_);
      } else {
        relation = a.kind == Kind::kRoot ? a.base : product(a.base, a.base, budget_);
      }
      relation = whet::text::whole_power(relation, times, budget_);
      for (const auto& [factor, value] : relation) work.emplace_back(product(monomial, factor), coefficient * value);
      if (work.size() > 2 * kMaxTerms) throw TooHard{};
    }
  }
  return out;
}

Quantity Algebra::reduced(Polynomial num, Polynomial den) {
  if (den.empty()) throw TooHard{};
  if (num.empty()) return number(0);
  if (!is_constant(den)) {
    // The numerator as a vector over the algebraic part of its terms: what divides every component can go.
    std::map<Monomial, Polynomial, MonomialOrder> components;
    for (const auto& [monomial, coefficient] : num) {
      Monomial algebraic, free;
      for (const auto& factor : monomial) (is_algebraic(factor.first) ? algebraic : free).push_back(factor);
      components[algebraic].emplace(free, coefficient);
    }
    Polynomial divisor = den;
    for (const auto& [key, part] : components) {
      divisor = common_divisor(divisor, part, budget_);
      if (is_constant(divisor)) break;
    }
    if (!is_constant(divisor)) {
      num = quotient(num, divisor, budget_).first;
      den = quotient(den, divisor, budget_).first;
    }
  }
  const mpq_class factor = is_constant(den) ? constant_value(den) : content(den);
  return {scaled(num, 1 / factor, budget_), is_constant(den) ? constant(1) : scaled(den, 1 / factor, budget_)};
}

bool Algebra::has_infinity(const Quantity& a) const {
  if (infinity_ < 0) return false;
  for (const Polynomial* p : {&a.num, &a.den}) {
    for (const auto& [monomial, coefficient] : *p) {
      if (exponent_of(monomial, infinity_).num != 0) return true;
    }
  }
  return false;
}

Quantity Algebra::add(const Quantity& a, const Quantity& b) {
  if (has_infinity(a) || has_infinity(b)) throw TooHard{};
  if (a.den == b.den) {
    Polynomial num = sum(a.num, b.num, budget_);
    return is_constant(a.den) ? Quantity{std::move(num), a.den} : reduced(std::move(num), a.den);
  }
  return reduced(sum(product(a.num, b.den, budget_), product(b.num, a.den, budget_), budget_),
                 product(a.den, b.den, budget_));
}

Quantity Algebra::negative(const Quantity& a) { return {scaled(a.num, -1, budget_), a.den}; }

Quantity Algebra::multiply(const Quantity& a, const Quantity& b) {
  if (has_infinity(a) || has_infinity(b)) {
    const Quantity& factor = has_infinity(a) ? b : a;
    if (!is_rational(factor) || abs(rational(factor)) != 1) throw TooHard{};
  }
  Polynomial num = normal_product(a.num, b.num);
  if (is_constant(a.den) && is_constant(b.den)) return {std::move(num), constant(1)};
  return reduced(std::move(num), product(a.den, b.den, budget_));
}

Quantity Algebra::inverse(const Quantity& a) {
  if (has_infinity(a)) throw TooHard{};
  Polynomial num = a.den, den = a.num;
  if (den.empty()) throw TooHard{};
  // One algebraic symbol after the other leaves the denominator: t with t^n = b free of t has conjugates whose
  // elementary functions follow from traces (Newton's identities), and only t^0 has a trace.
  for (;;) {
    int id = -1;
    for (const auto& [monomial, coefficient] : den) {
      for (const auto& [s, exponent] : monomial) {
        if (is_algebraic(s)) id = std::max(id, s);  // later symbols may contain earlier ones, not the reverse
      }
    }
    if (id < 0) break;
    int n = 1;
    for (const auto& [monomial, coefficient] : den) n = std::lcm(n, exponent_of(monomial, id).den);
    n *= period(id);
    if (n > kMaxConjugates) throw TooHard{};
    std::vector<Polynomial> powers{constant(1)}, traces{{}}, elementary{constant(1)};
    for (int k = 1; k <= n; ++k) {
      powers.push_back(normal_product(powers.back(), den));
      Polynomial trace;
      for (const auto& [monomial, coefficient] : powers.back()) {
        if (exponent_of(monomial, id).num == 0) add_term(trace, monomial, coefficient * n, budget_);
      }
      traces.push_back(std::move(trace));
      Polynomial e;
      for (int j = 1; j <= k; ++j) {
        e = sum(e, scaled(normal_product(elementary[k - j], traces[j]), j % 2 == 1 ? 1 : -1, budget_), budget_);
      }
      elementary.push_back(scaled(e, mpq_class(1, k), budget_));
    }
    Polynomial cofactor;
    for (int k = 0; k < n; ++k) {
      cofactor = sum(cofactor, scaled(normal_product(powers[n - 1 - k], elementary[k]), k % 2 == 0 ? 1 : -1, budget_),
                     budget_);
    }
    num = normal_product(num, cofactor);
    den = scaled(elementary[n], n % 2 == 1 ? 1 : -1, budget_);
    if (den.empty()) throw TooHard{};
  }
  return reduced(std::move(num), std::move(den));
}

bool Algebra::is_number(const Polynomial& p) const {
  for (const auto& [monomial, coefficient] : p) {
    for (const auto& [id, exponent] : monomial) {
      if (!atoms_[id].is_constant) return false;
    }
  }
  return true;
}

bool Algebra::is_number(const Quantity& a) const { return is_number(a.num) && is_number(a.den); }

std::vector<std::string> Algebra::letters(const Polynomial& p) const {
  std::vector<std::string> out;
  for (const auto& [monomial, coefficient] : p) {
    for (const auto& [id, exponent] : monomial) merge(out, atoms_[id].letters);
  }
  return out;
}

std::vector<std::string> Algebra::letters(const Quantity& a) const {
  std::vector<std::string> out = letters(a.num);
  merge(out, letters(a.den));
  return out;
}

bool Algebra::coefficients(const Quantity& a, const std::string& letter, std::vector<Quantity>& out) {
  const Quantity x = symbol(letter);
  const int id = x.num.begin()->first[0].first;
  for (const Polynomial* p : {&a.num, &a.den}) {
    for (const auto& [monomial, coefficient] : *p) {
      for (const auto& [s, exponent] : monomial) {
        const auto& inside = atoms_[s].letters;
        const bool occurs = std::find(inside.begin(), inside.end(), letter) != inside.end();
        if (occurs && (s != id || p == &a.den || exponent.den != 1 || exponent.num > 64)) return false;
      }
    }
  }
  out.clear();
  for (const auto& [monomial, coefficient] : a.num) {
    const std::size_t power = static_cast<std::size_t>(exponent_of(monomial, id).num);
    if (out.size() <= power) out.resize(power + 1, number(0));
    out[power] = add(out[power], {Polynomial{{without(monomial, id), coefficient}}, constant(1)});
  }
  for (Quantity& part : out) part = reduced(part.num, a.den);
  return true;
}

Quantity Algebra::normalised(const Quantity& a) {
  if (a.num.empty()) return a;
  // The coefficient of the first printed term of the numerator, as far as it is a number, becomes 1; then integers.
  const Monomial& lead = leading(a.num);
  Monomial letters_of_lead;
  const auto split = [this](const Monomial& monomial, Monomial& variable, Monomial& number_part) {
    for (const auto& factor : monomial) {
      (atoms_[factor.first].is_constant ? number_part : variable).push_back(factor);
    }
  };
  Monomial ignored;
  split(lead, letters_of_lead, ignored);
  Polynomial coefficient;
  for (const auto& [monomial, value] : a.num) {
    Monomial variable, number_part;
    split(monomial, variable, number_part);
    if (variable == letters_of_lead) add_term(coefficient, number_part, value, budget_);
  }
  Quantity result = divide(a, {coefficient, constant(1)});
  result.num = scaled(result.num, 1 / content(result.num), budget_);
  return result;
}

bool Algebra::bounds(const Polynomial& p, unsigned precision, mpq_class& low, mpq_class& high) const {
  // 60 digits each.
  static const mpz_class kPi("314159265358979323846264338327950288419716939937510582097494459");
  static const mpz_class kE("271828182845904523536028747135266249775724709369995957496696762");
  static const mpz_class kScale("100000000000000000000000000000000000000000000000000000000000000");
  low = high = 0;
  for (const auto& [monomial, coefficient] : p) {
    int n = 1;
    for (const auto& [id, exponent] : monomial) n = std::lcm(n, exponent.den);
    if (n > kMaxRoot) return false;
    mpz_class radicand = 1;
    mpq_class below = 1, above = 1;
    for (const auto& [id, exponent] : monomial) {
      const Atom& a = atoms_[id];
      const bool is_pi = a.text == "\\pi";
      if (a.kind == Kind::kPrime) {
        mpz_class part;
        mpz_pow_ui(part.get_mpz_t(), a.prime.get_mpz_t(),
                   static_cast<unsigned long>(exponent.num * (n / exponent.den)));
        radicand *= part;
      } else if (a.kind == Kind::kFree && (is_pi || a.text == "e") && exponent.den == 1 && exponent.num > 0 &&
                 exponent.num < 64) {
        for (int k = 0; k < exponent.num; ++k) {
          below *= mpq_class(is_pi ? kPi : kE, kScale);
          above *= mpq_class((is_pi ? kPi : kE) + 1, kScale);
        }
      } else {
        return false;
      }
    }
    mpz_class shifted = radicand, root;
    mpz_mul_2exp(shifted.get_mpz_t(), radicand.get_mpz_t(), static_cast<unsigned long>(n) * precision);
    const bool is_exact = mpz_root(root.get_mpz_t(), shifted.get_mpz_t(), static_cast<unsigned long>(n)) != 0;
    mpz_class unit = 1;
    mpz_mul_2exp(unit.get_mpz_t(), unit.get_mpz_t(), precision);
    mpq_class smaller(root, unit), larger(is_exact ? root : mpz_class(root + 1), unit);
    smaller.canonicalize();
    larger.canonicalize();
    below.canonicalize();
    above.canonicalize();
    smaller *= below * coefficient;
    larger *= above * coefficient;
    low += std::min(smaller, larger);
    high += std::max(smaller, larger);
  }
  return true;
}

int Algebra::sign(const Quantity& a) {
  if (a.num.empty()) return 0;
  int result = 1;
  for (const Polynomial* p : {&a.num, &a.den}) {
    if (is_constant(*p)) {
      result *= constant_value(*p) < 0 ? -1 : 1;
      continue;
    }
    int part = 0;
    for (const unsigned precision : {64U, 256U, 1024U, 4096U}) {
      budget_.spend(p->size() * precision / 4);
      mpq_class low, high;
      if (!bounds(*p, precision, low, high)) return kUnknownSign;
      if (low > 0 || high < 0) {
        part = low > 0 ? 1 : -1;
        break;
      }
    }
    if (part == 0) return kUnknownSign;
    result *= part;
  }
  return result;
}

}  // namespace whet::text
