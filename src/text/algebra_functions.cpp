// Elementary functions of the algebra: absolute values, logarithms, angles, factorials.
#include <algorithm>

#include "text/algebra.h"
#include "text/expression.h"

namespace whet::text {
namespace {

constexpr int kMaxMultiple = 12;
constexpr std::size_t kMaxAngleTerms = 4;

mpq_class modulo(const mpq_class& value, int modulus) {
  mpz_class turns;
  const mpz_class below = value.get_den() * modulus;
  mpz_fdiv_q(turns.get_mpz_t(), value.get_num_mpz_t(), below.get_mpz_t());
  return value - turns * modulus;
}

}  // namespace

Quantity Algebra::function_atom(const std::string& text, const Quantity& inside, bool positive) {
  Atom made;
  made.text = text;
  made.is_constant = is_number(inside);
  made.is_positive = positive;
  made.letters = letters(inside);
  return of_atom(atom(std::move(made)));
}

// --- absolute values ------------------------------------------------------------------------------------------------

Quantity Algebra::absolute(const Quantity& a) {
  if (is_rational(a)) return number(abs(rational(a)));
  return divide(absolute_sum(a.num), absolute_sum(a.den));
}

Quantity Algebra::absolute_sum(const Polynomial& p) {
  if (is_constant(p)) return number(abs(constant_value(p)));
  if (is_number(p)) {
    if (const int s = sign({p, constant(1)}); s != kUnknownSign) return {scaled(p, s, budget_), constant(1)};
    Polynomial real, imaginary;
    for (const auto& [monomial, coefficient] : p) {
      const auto found = std::find_if(monomial.begin(), monomial.end(), [this](const auto& factor) {
        return atoms_[factor.first].kind == Kind::kImaginary;
      });
      if (found == monomial.end()) {
        real.emplace(monomial, coefficient);
      } else {
        imaginary.emplace(without(monomial, found->first), coefficient);
      }
    }
    const auto is_real = [&](const Polynomial& part) {
      return part.empty() || sign({part, constant(1)}) != kUnknownSign;
    };
    if (!imaginary.empty() && is_real(real) && is_real(imaginary)) {
      return root({sum(normal_product(real, real), normal_product(imaginary, imaginary), budget_), constant(1)}, 2);
    }
  }
  if (p.size() == 1) {
    const auto [monomial, coefficient] = *p.begin();
    Quantity result = number(abs(coefficient));
    for (const auto& [id, exponent] : monomial) {
      const Kind kind = atoms_[id].kind;
      const bool is_positive = atoms_[id].is_positive || kind == Kind::kPrime || kind == Kind::kRoot ||
                               kind == Kind::kAbsolute || (exponent.den == 1 && exponent.num % 2 == 0);
      Quantity factor{Polynomial{{Monomial{{id, exponent}}, 1}}, constant(1)};
      if (!is_positive && kind != Kind::kImaginary && exponent.den == 1) {
        Atom made;
        made.kind = Kind::kAbsolute;
        made.base = Polynomial{{Monomial{{id, {1, 1}}}, 1}};
        made.text = "|" + polynomial_text(made.base) + "|";
        made.is_constant = atoms_[id].is_constant;
        made.letters = atoms_[id].letters;
        const int absolute_id = atom(std::move(made));
        factor = {normal(Polynomial{{Monomial{{absolute_id, exponent}}, 1}}), constant(1)};
      } else if (kind == Kind::kImaginary) {
        factor = number(1);
      }
      result = multiply(result, factor);
    }
    return result;
  }
  const mpq_class c = content(p) * (p.at(leading(p)) < 0 ? -1 : 1);
  Atom made;
  made.kind = Kind::kAbsolute;
  made.base = scaled(p, 1 / c, budget_);
  made.text = "|" + polynomial_text(made.base) + "|";
  made.is_constant = is_number(p);
  made.letters = letters(p);
  return multiply(number(abs(c)), of_atom(atom(std::move(made))));
}

// --- logarithms -----------------------------------------------------------------------------------------------------

Quantity Algebra::logarithm(const Quantity& a) {
  if (a.num.empty()) throw TooHard{};
  const auto log_atom = [this](const Quantity& inside) {
    Atom made;
    made.kind = Kind::kLogarithm;
    made.inside = inside;
    made.text = "\\ln(" + text(inside) + ")";
    made.is_constant = is_number(inside);
    made.letters = letters(inside);
    return of_atom(atom(std::move(made)));
  };
  const auto of_number = [&](const mpq_class& value) {
    Quantity result = number(0);
    for (const bool above : {true, false}) {
      const mpz_class part = above ? value.get_num() : value.get_den();
      for (const auto& [prime, count] : factors(part, budget_)) {
        const mpq_class times = above ? mpq_class(count) : -mpq_class(count);
        result = add(result, multiply(number(times), log_atom(number(prime))));
      }
    }
    return result;
  };
  Quantity result = number(0);
  for (const Polynomial* p : {&a.num, &a.den}) {
    Quantity part = number(0);
    if (p->size() == 1) {
      const auto [monomial, coefficient] = *p->begin();
      if (coefficient < 0) throw TooHard{};
      part = of_number(coefficient);
      for (const auto& [id, exponent] : monomial) {
        const mpq_class times(exponent.num, exponent.den);
        const Atom& found = atoms_[id];
        Quantity one;
        if (found.kind == Kind::kImaginary) {
          throw TooHard{};
        } else if (found.kind == Kind::kPower && (found.is_positive || !found.is_constant)) {
          const Quantity exponent_inside = found.inside;
          one = found.base_text == "e" ? exponent_inside : log_atom(of_atom(id));
        } else if (found.text == "e") {
          one = number(1);
        } else if (found.kind == Kind::kPrime) {
          one = log_atom(number(found.prime));
        } else if (found.kind == Kind::kRoot) {
          const Polynomial base = found.base;
          one = logarithm({base, constant(1)});
        } else {
          one = log_atom(of_atom(id));
        }
        part = add(part, multiply(number(times), one));
      }
    } else {
      const mpq_class c = content(*p);
      part = add(of_number(c), log_atom({scaled(*p, 1 / c, budget_), constant(1)}));
    }
    result = p == &a.num ? add(result, part) : subtract(result, part);
  }
  return result;
}

// --- angles ---------------------------------------------------------------------------------------------------------

/// cos(r * pi). Exact for the angles that radicals of small degree express; a symbol for others, between 0 and pi/2.
Quantity Algebra::cosine_of_turn(mpq_class half_turns) {
  half_turns.canonicalize();
  mpq_class r = modulo(half_turns, 2);
  if (r > 1) r = 2 - r;
  if (r > mpq_class(1, 2)) return negative(cosine_of_turn(1 - r));
  const auto root_of = [this](int value) { return root(number(value), 2); };
  const auto over = [this](const Quantity& value, int divisor) {
    return multiply(value, number(mpq_class(1, divisor)));
  };
  const mpz_class den = r.get_den();
  if (r == 0) return number(1);
  if (den == 2) return number(0);
  if (den == 3) return number(mpq_class(1, 2));
  if (den == 4) return over(root_of(2), 2);
  if (den == 6) return over(root_of(3), 2);
  if (den == 5) return over(add(root_of(5), number(r.get_num() == 1 ? 1 : -1)), 4);
  if (den == 12) return over(add(root_of(6), multiply(number(r.get_num() == 1 ? 1 : -1), root_of(2))), 4);
  if (den == 8 || den == 10 || den == 16 || den == 24) {
    return root(over(add(number(1), cosine_of_turn(r * 2)), 2), 2);
  }
  return function_atom("\\cos(" + text(multiply(number(r), symbol("\\pi"))) + ")", number(0), true);
}

Algebra::Angle Algebra::added(const Angle& a, const Angle& b) {
  return {subtract(multiply(a.cos, b.cos), multiply(a.sin, b.sin)),
          add(multiply(a.sin, b.cos), multiply(a.cos, b.sin))};
}

Algebra::Angle Algebra::angle(const Quantity& a) {
  const auto symbols_of = [this](const Quantity& inside) {
    const std::string inner = text(inside);
    const Quantity cosine = function_atom("\\cos(" + inner + ")", inside);
    Atom sine;
    sine.kind = Kind::kSine;
    sine.text = "\\sin(" + inner + ")";
    sine.cosine = cosine.num.begin()->first[0].first;
    sine.is_constant = is_number(inside);
    sine.letters = letters(inside);
    return Angle{cosine, of_atom(atom(std::move(sine)))};
  };
  if (!is_constant(a.den) || a.num.size() > kMaxAngleTerms) {
    // One symbol for the whole, of the sign that prints first.
    if (a.num.at(leading(a.num)) > 0) return symbols_of(a);
    Angle opposite = symbols_of(negative(a));
    return {opposite.cos, negative(opposite.sin)};
  }
  Angle total{number(1), number(0)};
  for (const auto& [monomial, coefficient] : a.num) {
    if (monomial.size() == 1 && atoms_[monomial[0].first].text == "\\pi" && monomial[0].second == Exponent{1, 1}) {
      total = added(total, {cosine_of_turn(coefficient), cosine_of_turn(mpq_class(1, 2) - coefficient)});
      continue;
    }
    const mpz_class multiple = abs(coefficient.get_num());
    const bool is_multiple = multiple <= kMaxMultiple && !monomial.empty();
    const mpq_class unit = is_multiple ? mpq_class(1, coefficient.get_den()) : mpq_class(abs(coefficient));
    const Angle one = symbols_of({Polynomial{{monomial, unit}}, constant(1)});
    Angle part = one;
    if (is_multiple) {
      for (mpz_class k = 1; k < multiple; ++k) part = added(part, one);
    }
    if (coefficient < 0) part.sin = negative(part.sin);
    total = added(total, part);
  }
  return total;
}

Quantity Algebra::apply(std::string_view function, const Quantity& a) {
  if (function == "sin") return angle(a).sin;
  if (function == "cos") return angle(a).cos;
  if (function == "tan" || function == "cot" || function == "sec" || function == "csc") {
    const Angle at = angle(a);
    if (function == "tan") return divide(at.sin, at.cos);
    if (function == "cot") return divide(at.cos, at.sin);
    return inverse(function == "sec" ? at.cos : at.sin);
  }
  if (function == "ln") return logarithm(a);
  if (function == "exp") return power(symbol("e"), a);
  if (function == "floor" || function == "ceil") {
    if (is_rational(a)) {
      mpz_class whole;
      const mpq_class value = rational(a);
      (function == "floor" ? mpz_fdiv_q : mpz_cdiv_q)(whole.get_mpz_t(), value.get_num_mpz_t(), value.get_den_mpz_t());
      return number(whole);
    }
    return function == "floor" ? function_atom("\\lfloor " + text(a) + "\\rfloor", a)
                               : function_atom("\\lceil " + text(a) + "\\rceil", a);
  }
  if (function == "arcsin" || function == "arccos" || function == "arctan") {
    // The angles whose sine or tangent has a short form: k * pi / 12 in the principal range.
    const std::string value = text(a);
    const bool is_tangent = function == "arctan";
    for (int k = -6; k <= 6 && is_number(a); ++k) {
      if (is_tangent && (k == -6 || k == 6)) continue;
      const Angle at{cosine_of_turn(mpq_class(k, 12)), cosine_of_turn(mpq_class(6 - k, 12))};
      if (text(is_tangent ? divide(at.sin, at.cos) : at.sin) != value) continue;
      const mpq_class turn = function == "arccos" ? mpq_class(6 - k, 12) : mpq_class(k, 12);
      mpq_class lowest = turn;
      lowest.canonicalize();
      return multiply(number(lowest), symbol("\\pi"));
    }
    if (function == "arccos") {  // pi/2 - arcsin, so that both speak of one symbol
      return subtract(multiply(number(mpq_class(1, 2)), symbol("\\pi")), apply("arcsin", a));
    }
    const bool is_odd_side = !a.num.empty() && a.num.at(leading(a.num)) < 0;
    const Quantity inside = is_odd_side ? negative(a) : a;
    const Quantity atom_of = function_atom("\\" + std::string(function) + "(" + text(inside) + ")", inside);
    return is_odd_side ? negative(atom_of) : atom_of;
  }
  return function_atom(std::string(function) + "(" + text(a) + ")", a);
}

Quantity Algebra::factorial(const Quantity& a) {
  constexpr unsigned long kMaxFactorial = 1500;  // 13,000 bits
  if (is_rational(a)) {
    const mpq_class value = rational(a);
    if (value.get_den() != 1 || value < 0) throw TooHard{};
    if (value <= kMaxFactorial) {
      mpz_class result;
      budget_.spend(value.get_num().get_ui() * 8);
      mpz_fac_ui(result.get_mpz_t(), value.get_num().get_ui());
      return number(result);
    }
  }
  return function_atom("(" + text(a) + ")!", a);
}

Quantity Algebra::binomial(const Quantity& n, const Quantity& k) {
  if (is_rational(n) && is_rational(k)) {
    const mpq_class top = rational(n), bottom = rational(k);
    const bool is_whole = top.get_den() == 1 && bottom.get_den() == 1 && top >= 0 && bottom >= 0;
    if (!is_whole) throw TooHard{};
    if (bottom > top) return number(0);
    if (top <= static_cast<unsigned long>(kMaxNumberBits) / 4) {
      mpz_class result;
      budget_.spend(top.get_num().get_ui() * 4);
      mpz_bin_ui(result.get_mpz_t(), top.get_num_mpz_t(), bottom.get_num().get_ui());
      return number(result);
    }
  }
  Atom made;
  made.text = "\\binom{" + text(n) + "}{" + text(k) + "}";
  made.is_constant = is_number(n) && is_number(k);
  made.letters = letters(Quantity{n.num, k.num});
  return of_atom(atom(std::move(made)));
}

}  // namespace whet::text
