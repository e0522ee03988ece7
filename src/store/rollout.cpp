#include "store/rollout.h"

namespace whet::store {

base::Json to_json(const RolloutRow& row, std::int64_t step) {
  base::Json object = base::Json::object();
  object["input"] = row.input;
  object["output"] = row.output;
  object["gts"] = row.gts ? base::Json(*row.gts) : base::Json();
  object["score"] = row.score;
  object["step"] = step;
  object["answer"] = row.answer ? base::Json(*row.answer) : base::Json();
  object["true_score"] = row.true_score ? base::Json(*row.true_score) : base::Json();
  object["logprob"] = row.logprob;
  object["entropy"] = row.entropy;
  object["self_certainty"] = row.self_certainty;
  object["gap"] = row.gap;
  object["truncated"] = row.truncated;
  object["tokens"] = row.tokens;
  return object;
}

}  // namespace whet::store
