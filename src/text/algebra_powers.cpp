// Powers and roots of the algebra.
#include <algorithm>
#include <numeric>

#include "text/algebra.h"
#include "text/expression.h"

namespace whet::text {

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
  const auto inner_letters = letters(exponent);
  made.letters.insert(made.letters.end(), inner_letters.begin(), inner_letters.end());
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
  const Polynomial raised = normal_product(a.num, whet::text::whole_power(a.den, n - 1, budget_));
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
    const bool is_positive =
        a.is_positive || a.kind == Kind::kPrime || a.kind == Kind::kRoot || a.kind == Kind::kAbsolute;
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
  if (has_imaginary)
    return function_atom("(" + polynomial_text(p) + ")^{1/" + std::to_string(n) + "}", {p, constant(1)});
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
    for (auto& [id, exponent] : shared)
      exponent = std::min(exponent, exponent_of(monomial, id), [](Exponent x, Exponent y) { return x < y; });
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

}  // namespace whet::text
