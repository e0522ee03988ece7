// The verdict on an answer, and why.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace whet::text {

struct Verdict {
  bool equivalent = false;
  /// A word for programs and, behind a colon, a text for people. The words:
  ///
  /// - "same-text": letter for letter;
  /// - "equal": different writings of one answer;
  /// - "different-value": two numbers, two expressions, two choices ...;
  /// - "different-elements": two lists, tuples, intervals or matrices that differ inside;
  /// - "different-kind": a number and a list, say;
  /// - "different-text": at least one is no mathematics that is understood, and they are not written alike;
  /// - "too-hard": at least one is beyond the bounds of the algebra, so that their writings were compared;
  /// - "no-answer": nothing stands there.
  std::string reason;
};

/// The answer in a text that may be a whole response: what find_answer() finds, else all of it. Of a sentence what it
/// states: a short formula or number behind its last "is", else its last formula ("$...$", "\(...\)", "\[...\]").
/// A text that was escaped once too often ("\\frac") is read as it was meant. Empty when there is nothing but blanks.
std::string answer_in_text(std::string_view text);

/// Whether answer and reference are equivalent, by the relation of text/equivalence.h, after answer_in_text() of both.
Verdict grade(std::string_view answer, std::string_view reference);

}  // namespace whet::text
