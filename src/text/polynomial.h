// Polynomials over the rationals in numbered symbols, with fractional exponents and bounded work.
//
// The algebra of answers (text/algebra.h) stands on them. Whoever compares answers of a model must never hang, so every
// operation takes a budget and gives up, by exception, when it is spent: work is counted and not timed, and the same
// text therefore ends the same way on every machine.
#pragma once

#include <gmpxx.h>

#include <cstddef>
#include <map>
#include <utility>
#include <vector>

namespace whet::text {

/// Thrown when a value is larger than what is worked out, or an operation has no result (division by zero).
struct TooHard {};

/// The work that is left, in single operations on numbers of one machine word.
class Budget {
 public:
  explicit Budget(long operations) : left_(operations) {}
  void spend(std::size_t operations) {
    left_ -= static_cast<long>(operations);
    if (left_ < 0) throw TooHard{};
  }

 private:
  long left_;
};

/// A rational exponent in lowest terms; TooHard beyond a million.
struct Exponent {
  int num = 0;
  int den = 1;
  bool operator==(const Exponent&) const = default;
};
Exponent make_exponent(const mpq_class& value);
Exponent operator+(Exponent a, Exponent b);
Exponent operator*(Exponent a, int k);
bool operator<(Exponent a, Exponent b);

/// Symbols with their exponents, none of which is 0, in the order of the symbols' numbers.
using Monomial = std::vector<std::pair<int, Exponent>>;

/// A monomial order: products keep it, and where all exponents are positive 1 is the smallest.
struct MonomialOrder {
  bool operator()(const Monomial& a, const Monomial& b) const;
};

/// Sums of monomials with coefficients other than 0.
using Polynomial = std::map<Monomial, mpq_class, MonomialOrder>;

Monomial product(const Monomial& a, const Monomial& b);
/// The exponent of one symbol, 0 when it does not occur.
Exponent exponent_of(const Monomial& monomial, int symbol);
Monomial without(const Monomial& monomial, int symbol);

Polynomial constant(const mpq_class& value);
bool is_constant(const Polynomial& p);
/// The value of a constant.
mpq_class constant_value(const Polynomial& p);

void add_term(Polynomial& p, const Monomial& monomial, const mpq_class& coefficient, Budget& budget);
Polynomial sum(const Polynomial& a, const Polynomial& b, Budget& budget);
Polynomial product(const Polynomial& a, const Polynomial& b, Budget& budget);
Polynomial scaled(const Polynomial& p, const mpq_class& factor, Budget& budget);

Polynomial whole_power(const Polynomial& p, int exponent, Budget& budget);
/// TooHard beyond kMaxNumberBits of text/expression.h.
mpq_class number_power(const mpq_class& base, unsigned long exponent);
/// Bits of the longer of numerator and denominator.
std::size_t bits(const mpq_class& value);

/// a / b when b divides a without remainder, else the empty pair's second is false.
std::pair<Polynomial, bool> quotient(const Polynomial& a, const Polynomial& b, Budget& budget);
/// A greatest common divisor, up to a rational factor. Exponents may be fractions but not negative.
Polynomial common_divisor(const Polynomial& a, const Polynomial& b, Budget& budget);
/// h with h*h == p and a positive leading coefficient, when there is one: second is false otherwise.
std::pair<Polynomial, bool> square_root(const Polynomial& p, Budget& budget);

/// The positive rational c for which p / c has integer coefficients without a common factor. p is not 0.
mpq_class content(const Polynomial& p);

}  // namespace whet::text
