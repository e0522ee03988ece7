#include "text/algebra.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "text/expression.h"

namespace whet::text {
namespace {

constexpr int kMaxRoot = 64;
constexpr int kMaxConjugates = 16;
constexpr std::size_t kMaxTerms = 2000;

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

void merge(std::vector<std::string>& into, const std::vector<std::string>& from) {
  std::set<std::string> all(into.begin(), into.end());
  all.insert(from.begin(), from.end());
  into.assign(all.begin(), all.end());
}

Polynomial power_of(const Polynomial& p, int exponent, Budget& budget) {
  Polynomial result = constant(1);
  for (int i = 0; i < exponent; ++i) result = product(result, p, budget);
  return result;
}

}  // namespace

std::vector<std::pair<mpz_class, unsigned long>> factors(mpz_class value, Budget& budget) {
  std::vector<std::pair<mpz_class, unsigned long>> out;
  const auto take = [&](unsigned long p) {
    unsigned long count = 0;
    while (mpz_divisible_ui_p(value.get_mpz_t(), p) != 0) {
      value /= p;
      ++count;
    }
    if (count > 0) out.emplace_back(p, count);
  };
  take(2);
  unsigned long limit = mpz_size(value.get_mpz_t()) <= 1 ? 65536 : 4096;
  for (unsigned long p = 3; p < limit && value > 1; p += 2) {
    if (value < p * p) break;
    if ((p & 63) == 3) budget.spend(4 * mpz_size(value.get_mpz_t()));
    take(p);
  }
  if (value > 1) {
    // A square or higher power of a large prime is still seen.
    unsigned long exponent = 1;
    mpz_class root;
    for (unsigned long k = mpz_sizeinbase(value.get_mpz_t(), 2) / 12 + 1; k > 1; --k) {
      budget.spend(mpz_size(value.get_mpz_t()));
      if (mpz_root(root.get_mpz_t(), value.get_mpz_t(), k) != 0) {
        value = root;
        exponent = k;
        break;
      }
    }
    out.emplace_back(value, exponent);
  }
  return out;
}

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
  return of_atom(atom(std::move(made)));
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
      relation = power_of(relation, times, budget_);
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

Quantity Algebra::add(const Quantity& a, const Quantity& b) {
  if (a.den == b.den) {
    Polynomial num = sum(a.num, b.num, budget_);
    return is_constant(a.den) ? Quantity{std::move(num), a.den} : reduced(std::move(num), a.den);
  }
  return reduced(sum(product(a.num, b.den, budget_), product(b.num, a.den, budget_), budget_),
                 product(a.den, b.den, budget_));
}

Quantity Algebra::negative(const Quantity& a) { return {scaled(a.num, -1, budget_), a.den}; }

Quantity Algebra::multiply(const Quantity& a, const Quantity& b) {
  Polynomial num = normal_product(a.num, b.num);
  if (is_constant(a.den) && is_constant(b.den)) return {std::move(num), constant(1)};
  return reduced(std::move(num), product(a.den, b.den, budget_));
}

Quantity Algebra::inverse(const Quantity& a) {
  Polynomial num = a.den, den = a.num;
  if (den.empty()) throw TooHard{};
  // One algebraic symbol after the other leaves the denominator: t with t^n = b free of t has conjugates whose elementary
  // functions follow from traces (Newton's identities), and only t^0 has a trace.
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
        mpz_pow_ui(part.get_mpz_t(), a.prime.get_mpz_t(), static_cast<unsigned long>(exponent.num * (n / exponent.den)));
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

// --- powers ---------------------------------------------------------------------------------------------------------

Quantity Algebra::power(const Quantity& base, const Quantity& exponent) {
  if (is_rational(exponent)) return fixed_power(base, rational(exponent));
  if (base.num.empty()) throw TooHard{};
  // (q x^r / y^s)^t factor by factor, under the rule for letters; anything else is one base.
  if (base.num.size() == 1 && base.den.size() == 1) {
    Quantity result = number(1);
    const auto [monomial, coefficient] = *base.num.begin();
    const auto [below, below_coefficient] = *base.den.begin();
    const mpq_class value = coefficient / below_coefficient;
    const auto raise_prime = [&](const mpz_class& prime, long count, bool inverted) {
      const Quantity times = multiply(exponent, number(inverted ? -count : count));
      result = multiply(result, base_power(number(prime), times));
    };
    const mpz_class above_value = abs(value.get_num()), below_value = value.get_den();
    for (const auto& [prime, count] : factors(above_value, budget_)) {
      raise_prime(prime, static_cast<long>(count), false);
    }
    for (const auto& [prime, count] : factors(below_value, budget_)) {
      raise_prime(prime, static_cast<long>(count), true);
    }
    if (value < 0) result = multiply(result, base_power(number(-1), exponent));
    for (const Monomial* part : {&monomial, &below}) {
      for (const auto& [id, e] : *part) {
        const mpq_class scale(part == &monomial ? e.num : -e.num, e.den);
        if (atoms_[id].kind == Kind::kPrime) {
          result = multiply(result, base_power(number(atoms_[id].prime), multiply(exponent, number(scale))));
        } else if (atoms_[id].kind == Kind::kPower) {
          const Atom a = atoms_[id];
          const Quantity inner = multiply(multiply(exponent, number(scale)), a.inside);
          result = multiply(result, power_atom(a.base_text, inner, a.is_constant, a.is_positive, a.letters));
        } else {
          result = multiply(result, base_power(of_atom(id), multiply(exponent, number(scale))));
        }
      }
    }
    return result;
  }
  return base_power(base, exponent);
}

/// One base (a prime, a symbol, -1 or a sum) to a symbolic exponent, term by term of the exponent.
Quantity Algebra::base_power(const Quantity& base, const Quantity& exponent) {
  if (is_rational(exponent)) return fixed_power(base, rational(exponent));
  std::string base_text = text(base);
  const bool is_e = base_text == "e";
  const bool is_plain = base_text.size() == 1 || base_text.find_first_not_of("0123456789") == std::string::npos;
  if (!is_plain) base_text = "(" + base_text + ")";
  const bool is_positive = is_number(base) && sign(base) == 1;
  const auto base_letters = letters(base);
  if (!is_constant(exponent.den)) return power_atom(base_text, exponent, is_number(base), is_positive, base_letters);
  Quantity result = number(1);
  for (const auto& [monomial, coefficient] : exponent.num) {
    if (monomial.empty()) {
      result = multiply(result, fixed_power(base, coefficient));
      continue;
    }
    const Atom& first = atoms_[monomial[0].first];
    const bool is_single = monomial.size() == 1 && monomial[0].second == Exponent{1, 1};
    int imaginary = -1;
    for (const auto& [id, e] : monomial) {
      if (atoms_[id].kind == Kind::kImaginary) imaginary = id;
    }
    if (is_e && is_single && first.kind == Kind::kLogarithm) {
      const Quantity argument = first.inside;
      result = multiply(result, fixed_power(argument, coefficient));
    } else if (is_e && imaginary >= 0) {
      const Angle turned = angle({Polynomial{{without(monomial, imaginary), coefficient}}, constant(1)});
      result = multiply(result, add(turned.cos, multiply(symbol("i"), turned.sin)));
    } else {
      const Quantity unit{Polynomial{{monomial, 1}}, constant(1)};
      const Quantity one = power_atom(base_text, unit, is_number(base), is_positive, base_letters);
      const Monomial whole = one.num.begin()->first;
      const Exponent scale = make_exponent(coefficient);
      const Quantity factor{Polynomial{{Monomial{{whole[0].first, scale.num < 0 ? scale * -1 : scale}}, 1}},
                            constant(1)};
      result = scale.num < 0 ? divide(result, factor) : multiply(result, factor);
    }
  }
  return result;
}

Quantity Algebra::power_atom(const std::string& base_text, const Quantity& exponent, bool constant_base,
                             bool positive_base, const std::vector<std::string>& base_letters) {
  Atom made;
  made.kind = Kind::kPower;
  made.base_text = base_text;
  made.text = base_text + "^{" + text(exponent) + "}";
  made.is_constant = constant_base && is_number(exponent);
  made.is_positive = positive_base;
  made.letters = base_letters;
  merge(made.letters, letters(exponent));
  made.inside = exponent;
  return of_atom(atom(std::move(made)));
}

Quantity Algebra::fixed_power(const Quantity& a, const mpq_class& exponent) {
  if (exponent.get_den() == 1) return whole_power(a, exponent.get_num());
  if (a.num.empty() && exponent < 0) throw TooHard{};
  const mpz_class degree = exponent.get_den();
  if (degree > kMaxRoot) {
    // e^{0.001} and 2^{1/1000} are symbols to a power, the rest stays closed.
    if (a.num.size() != 1 || is_number(a) == false) throw TooHard{};
    return power_atom("(" + text(a) + ")", number(exponent), true, sign(a) == 1, {});
  }
  return whole_power(root(a, static_cast<int>(degree.get_si())), exponent.get_num());
}

Quantity Algebra::whole_power(const Quantity& a, const mpz_class& exponent) {
  if (exponent == 0) {
    if (a.num.empty()) throw TooHard{};
    return number(1);
  }
  if (exponent == 1) return a;
  if (a.num.empty()) {
    if (exponent < 0) throw TooHard{};
    return a;
  }
  const auto opaque = [&]() -> Quantity {
    if (is_rational(a)) {
      // Beyond what is worked out: r^k with r no power itself, which is still one form for one value.
      const mpq_class value = rational(a);
      if (value == 1 || value == -1) return number(value == 1 || mpz_even_p(exponent.get_mpz_t()) != 0 ? 1 : -1);
      if (value.get_den() == 1 && value > 0) {
        mpz_class root = value.get_num(), next;
        mpz_class count = exponent;
        for (unsigned long k = mpz_sizeinbase(root.get_mpz_t(), 2); k > 1; --k) {
          budget_.spend(mpz_size(root.get_mpz_t()));
          if (mpz_root(next.get_mpz_t(), root.get_mpz_t(), k) == 0) continue;
          root = next;
          count *= k;
          break;
        }
        return power_atom(root.get_str(), number(count), true, true, {});
      }
    }
    return power_atom("(" + text(a) + ")", number(exponent), is_number(a), false, letters(a));
  };
  const mpz_class size = abs(exponent);
  if (is_rational(a)) {
    if (!size.fits_ulong_p() || size > kMaxNumberBits || bits(rational(a)) * size.get_ui() > kMaxNumberBits) {
      return opaque();
    }
    const mpq_class value = number_power(rational(a), size.get_ui());
    return number(exponent < 0 ? mpq_class(1 / value) : value);
  }
  if (exponent < 0) return inverse(whole_power(a, size));
  constexpr unsigned long kMaxPower = 1000;
  const std::size_t terms = std::max(a.num.size(), a.den.size());
  if (size > kMaxPower) return opaque();
  const unsigned long k = size.get_ui();
  if (terms > 1 && !is_number(a)) {
    // (terms + k - 1 choose k) terms at most: too many are not multiplied out.
    double expected = 1;
    for (std::size_t t = 1; t < terms; ++t) expected *= static_cast<double>(k + t) / static_cast<double>(t);
    if (expected > 400) return opaque();
  }
  Quantity result = number(1), square = a;
  for (unsigned long rest = k; rest > 0; rest >>= 1) {
    if ((rest & 1) != 0) result = multiply(result, square);
    if (rest > 1) square = multiply(square, square);
  }
  return result;
}

// --- roots ----------------------------------------------------------------------------------------------------------

Quantity Algebra::root(const Quantity& a, int n) {
  if (n == 1) return a;
  if (n < 1 || n > kMaxRoot) throw TooHard{};
  if (a.num.empty()) return a;
  if (is_constant(a.den)) return sum_root(a.num, n);
  if (a.den.size() == 1) return divide(sum_root(a.num, n), sum_root(a.den, n));
  const Quantity below{a.den, constant(1)};
  const Polynomial raised = normal_product(a.num, power_of(a.den, n - 1, budget_));
  return divide(sum_root(raised, n), n % 2 == 0 ? absolute(below) : below);
}

/// The root of a rational, as rational times radicals of primes, times i where it is imaginary.
Quantity Algebra::number_root(const mpq_class& value, int n) {
  if (value < 0) {
    if (n % 2 == 1) return negative(number_root(-value, n));
    if (n != 2) throw TooHard{};
    return multiply(symbol("i"), number_root(-value, n));
  }
  // (a/b)^(1/n) = (a b^(n-1))^(1/n) / b, prime by prime.
  mpq_class outside = mpq_class(1, value.get_den());
  outside.canonicalize();
  Polynomial radicals = constant(1);
  std::map<std::string, std::pair<mpz_class, unsigned long>> counts;
  for (const auto& [prime, count] : factors(value.get_num(), budget_)) counts[prime.get_str()] = {prime, count};
  for (const auto& [prime, count] : factors(value.get_den(), budget_)) {
    auto& entry = counts[prime.get_str()];
    entry.first = prime;
    entry.second += count * static_cast<unsigned long>(n - 1);
  }
  Monomial monomial;
  for (const auto& [key, entry] : counts) {
    const auto& [prime, count] = entry;
    outside *= number_power(prime, count / static_cast<unsigned long>(n));
    const unsigned long rest = count % static_cast<unsigned long>(n);
    if (rest == 0) continue;
    Atom made;
    made.kind = Kind::kPrime;
    made.text = prime.get_str();
    made.prime = prime;
    made.is_constant = made.is_positive = true;
    const int id = atom(std::move(made));
    monomial = product(monomial, Monomial{{id, make_exponent(mpq_class(rest, n))}});
  }
  // mpq_class(rest, n) is in lowest terms only after make_exponent.
  return {Polynomial{{monomial, outside}}, constant(1)};
}

Quantity Algebra::term_root(const Monomial& monomial, const mpq_class& coefficient, int n) {
  Quantity result = number_root(coefficient, n);
  for (const auto& [id, exponent] : monomial) {
    const Atom& a = atoms_[id];
    if (a.kind == Kind::kImaginary) throw TooHard{};
    const bool is_positive = a.is_positive || a.kind == Kind::kPrime || a.kind == Kind::kRoot ||
                             a.kind == Kind::kAbsolute;
    const Exponent over = make_exponent([&] {
      mpq_class value(exponent.num, exponent.den);
      value /= n;
      return value;
    }());
    const bool is_even_power = exponent.den == 1 && exponent.num % 2 == 0;
    const bool stays_even = over.den == 1 && over.num % 2 == 0;
    if (n % 2 == 0 && is_even_power && !is_positive && !stays_even) {
      const Quantity size = absolute(of_atom(id));
      Monomial factor = size.num.begin()->first;
      if (factor.size() != 1) throw TooHard{};
      factor[0].second = over;
      result = {normal_product(result.num, Polynomial{{factor, 1}}), constant(1)};
    } else {
      result = {normal_product(result.num, Polynomial{{Monomial{{id, over}}, 1}}), constant(1)};
    }
  }
  return result;
}

/// sqrt(a + B) where B*B is rational or B is imaginary, as a sum of two roots.
bool Algebra::denested(const Polynomial& p, Quantity& out) {
  if (p.size() > 2) return false;
  mpq_class a = 0;
  Polynomial rest;
  for (const auto& [monomial, coefficient] : p) {
    if (monomial.empty()) {
      a = coefficient;
    } else {
      rest.emplace(monomial, coefficient);
    }
  }
  if (rest.size() != 1) return false;
  const Polynomial square = normal_product(rest, rest);
  if (!is_constant(square)) return false;
  const mpq_class norm = a * a - constant_value(square);
  if (norm < 0) return false;
  const mpz_class num = norm.get_num(), den = norm.get_den();
  if (mpz_perfect_square_p(num.get_mpz_t()) == 0 || mpz_perfect_square_p(den.get_mpz_t()) == 0) return false;
  const mpq_class s(::sqrt(num), ::sqrt(den));
  const bool is_imaginary = constant_value(square) < 0;
  if (!is_imaginary && a <= 0) return false;
  const bool is_negative = rest.begin()->second < 0;
  const Quantity first = number_root(is_imaginary ? mpq_class((s + a) / 2) : mpq_class((a + s) / 2), 2);
  Quantity second = number_root(is_imaginary ? mpq_class((s - a) / 2) : mpq_class((a - s) / 2), 2);
  if (is_imaginary) {
    // Only i times a rational: i times a radical has another half.
    if (rest.begin()->first.size() != 1) return false;
    second = multiply(symbol("i"), second);
  }
  out = is_negative ? subtract(first, second) : add(first, second);
  return true;
}

Quantity Algebra::sum_root(const Polynomial& p, int n) {
  bool has_imaginary = false;
  for (const auto& [monomial, coefficient] : p) {
    for (const auto& [id, exponent] : monomial) has_imaginary |= atoms_[id].kind == Kind::kImaginary;
  }
  if (p.size() == 1 && !has_imaginary) return term_root(p.begin()->first, p.begin()->second, n);
  if (n == 2) {
    Quantity flat;
    if (denested(p, flat)) return flat;
  }
  if (has_imaginary) return function_atom("(" + polynomial_text(p) + ")^{1/" + std::to_string(n) + "}", {p, constant(1)});
  if (is_number(p) && sign({p, constant(1)}) == -1) {
    const Polynomial opposite = scaled(p, -1, budget_);
    if (n % 2 == 1) return negative(sum_root(opposite, n));
    if (n == 2) return multiply(symbol("i"), sum_root(opposite, n));
  }
  if (n % 2 == 1 && !is_number(p) && p.at(leading(p)) < 0) return negative(sum_root(scaled(p, -1, budget_), n));
  const mpq_class c = content(p);
  Polynomial inside = scaled(p, 1 / c, budget_);
  Quantity outside = number_root(c, n);
  // What every term shares to an n-th power comes out.
  Monomial shared = inside.begin()->first;
  for (const auto& [monomial, coefficient] : inside) {
    for (auto& [id, exponent] : shared) exponent = std::min(exponent, exponent_of(monomial, id), [](Exponent x, Exponent y) {
      return x < y;
    });
  }
  for (const auto& [id, exponent] : shared) {
    const int times = exponent.num / exponent.den / n;
    if (is_algebraic(id) || times <= 0) continue;
    inside = quotient(inside, Polynomial{{Monomial{{id, {times * n, 1}}}, 1}}, budget_).first;
    outside = multiply(outside, term_root(Monomial{{id, {times * n, 1}}}, 1, n));
  }
  if (n % 2 == 0) {
    const auto [half, is_square] = square_root(inside, budget_);
    if (is_square) return multiply(outside, root(absolute({half, constant(1)}), n / 2));
  }
  Atom made;
  made.kind = Kind::kRoot;
  made.base = inside;
  made.is_constant = is_number(inside);
  made.letters = letters(inside);
  made.text = polynomial_text(inside);
  const int id = atom(std::move(made));
  return multiply(outside, {Polynomial{{Monomial{{id, {1, n}}}, 1}}, constant(1)});
}

// --- printing -------------------------------------------------------------------------------------------------------

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
      return exponent.den == 2 ? "\\sqrt{" + a.text + "}" : "\\sqrt[" + std::to_string(exponent.den) + "]{" + a.text + "}";
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
    parts.push_back("\\sqrt" + (n == 2 ? std::string() : "[" + std::to_string(n) + "]") + "{" + radicand.get_str() + "}");
  }
  std::sort(rest.begin(), rest.end(), [](const Factor& x, const Factor& y) {
    return x.rank != y.rank ? x.rank < y.rank : x.order < y.order;
  });
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
      } else if (is_digit(first) || (is_letter(out.back()) && (is_letter(first) || first == '(')) || out.back() == '!' ||
                 first == '|') {
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
