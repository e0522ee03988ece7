// Exact algebra for answers: sums, products, powers, roots and elementary functions in a normal form.
//
// A quantity is a fraction of polynomials over Q in symbols of two sorts: free ones (letters, pi, e, \ln(2), \cos(x),
// 2^{x}, ...) and algebraic ones, each with a relation that reduces its powers: radicals of primes, i, \sin(x) with
// \sin^2 = 1 - \cos^2, roots and absolute values of other quantities. Powers are reduced, denominators freed of
// algebraic symbols and common factors removed, so equal quantities have one form as far as the symbols are
// independent: always for numbers built from rationals, radicals of rationals, i and pi, and for rational functions of
// letters. Where independence is not known (nested radicals that do not denest, \cos(\pi/7)), equal forms still mean
// equal values, and different forms are taken as different.
//
// Letters under a root with an odd exponent, and in logarithms, are taken as positive; \sqrt{x^2} is |x|. Roots are
// principal, odd roots of negative numbers real. Everything is bounded by a budget (text/polynomial.h).
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "text/polynomial.h"

namespace whet::text {

struct Quantity {
  Polynomial num;
  Polynomial den = constant(1);  ///< without algebraic symbols; 1, or not constant
};

class Algebra {
 public:
  static constexpr int kMaxRoot = 64;  ///< no root of a higher degree is taken

  /// Results throw TooHard when `operations` are spent, on division by zero, and beyond the limits of
  /// text/expression.h.
  explicit Algebra(long operations) : budget_(operations) {}

  static Quantity number(const mpq_class& value) { return {constant(value), constant(1)}; }
  /// A letter or a name such as "x", "\\theta", "x_{1}". Also "\\pi", "e" and "i", which mean what they are.
  Quantity symbol(const std::string& name);

  Quantity add(const Quantity& a, const Quantity& b);
  Quantity subtract(const Quantity& a, const Quantity& b) { return add(a, negative(b)); }
  Quantity negative(const Quantity& a);
  Quantity multiply(const Quantity& a, const Quantity& b);
  Quantity divide(const Quantity& a, const Quantity& b) { return multiply(a, inverse(b)); }
  Quantity power(const Quantity& base, const Quantity& exponent);
  Quantity root(const Quantity& a, int n);
  Quantity absolute(const Quantity& a);
  Quantity logarithm(const Quantity& a);
  /// "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "ln", "exp", "floor", "ceil"; other names
  /// become a free symbol of their argument.
  Quantity apply(std::string_view function, const Quantity& a);
  Quantity factorial(const Quantity& a);
  Quantity binomial(const Quantity& n, const Quantity& k);

  static bool is_rational(const Quantity& a) { return is_constant(a.num) && is_constant(a.den); }
  static mpq_class rational(const Quantity& a) { return constant_value(a.num); }
  /// Without letters: a number, though perhaps not a rational one.
  bool is_number(const Quantity& a) const;
  /// 1, 0 or -1 for a real number made of rationals, radicals, pi and e when 60 digits decide; nullptr-like 2
  /// otherwise.
  static constexpr int kUnknownSign = 2;
  int sign(const Quantity& a);
  /// The letters that occur, inside functions too, in order of their names.
  std::vector<std::string> letters(const Quantity& a) const;
  /// The quantity as a coefficient list in one letter (index: power), when the letter occurs in no other way.
  bool coefficients(const Quantity& a, const std::string& letter, std::vector<Quantity>& out);
  /// The quantity times a number other than 0, chosen so that quantities which differ by such a number agree.
  Quantity normalised(const Quantity& a);

  /// The normal form as LaTeX that the parser of answers reads back: "3\sqrt{13}", "(x+1)/(x-1)", "-2+7i".
  std::string text(const Quantity& a);

 private:
  enum class Kind { kFree, kPower, kLogarithm, kPrime, kImaginary, kSine, kRoot, kAbsolute };
  struct Atom {
    Kind kind = Kind::kFree;
    std::string text;
    bool is_constant = false;  ///< no letter inside
    bool is_positive = false;  ///< known to be positive
    mpz_class prime;           ///< kPrime
    int cosine = -1;           ///< kSine: its partner
    Polynomial base;           ///< kRoot, kAbsolute: what the relation leads back to
    Quantity inside;           ///< kPower: exponent; kLogarithm: argument
    std::string base_text;     ///< kPower
    std::vector<std::string> letters;
  };
  struct Angle {
    Quantity cos, sin;
  };

  int atom(Atom made);
  int period(int atom) const;
  Quantity of_atom(int atom) const { return {Polynomial{{Monomial{{atom, {1, 1}}}, 1}}, constant(1)}; }
  /// Infinity can be turned round and put beside a bracket, and nothing else: inf - inf is no 0.
  bool has_infinity(const Quantity& a) const;
  bool is_algebraic(int atom) const { return atoms_[atom].kind >= Kind::kPrime; }
  Polynomial normal(const Polynomial& p);
  Polynomial normal_product(const Polynomial& a, const Polynomial& b) { return normal(product(a, b, budget_)); }
  Quantity reduced(Polynomial num, Polynomial den);
  Quantity inverse(const Quantity& a);
  Quantity whole_power(const Quantity& a, const mpz_class& exponent);
  Quantity fixed_power(const Quantity& a, const mpq_class& exponent);
  Quantity power_atom(const std::string& base_text, const Quantity& exponent, bool constant_base, bool positive_base,
                      const std::vector<std::string>& base_letters);
  Quantity base_power(const Quantity& base, const Quantity& exponent);
  Quantity number_root(const mpq_class& value, int n);
  Quantity term_root(const Monomial& monomial, const mpq_class& coefficient, int n);
  Quantity sum_root(const Polynomial& p, int n);
  bool denested(const Polynomial& p, Quantity& out);
  Quantity absolute_sum(const Polynomial& p);
  Quantity function_atom(const std::string& text, const Quantity& inside, bool positive = false);
  Angle angle(const Quantity& a);
  Angle added(const Angle& a, const Angle& b);
  Quantity cosine_of_turn(mpq_class half_turns);
  bool bounds(const Polynomial& p, unsigned bits, mpq_class& low, mpq_class& high) const;
  bool is_number(const Polynomial& p) const;
  std::vector<std::string> letters(const Polynomial& p) const;
  std::string polynomial_text(const Polynomial& p);
  std::string term_text(const Monomial& monomial, const mpz_class& coefficient);
  std::string factor_text(int atom, Exponent exponent);
  bool printed_before(const Monomial& a, const Monomial& b) const;
  const Monomial& leading(const Polynomial& p) const;

  Budget budget_;
  int infinity_ = -1;
  std::vector<Atom> atoms_;
  std::map<std::string, int> index_;
};

/// The primes of a positive integer that are found, with exponents; what is left without small primes counts as one.
std::vector<std::pair<mpz_class, unsigned long>> factors(mpz_class value, Budget& budget);

}  // namespace whet::text
