// whet export: a run's model, or any, as a Hugging Face folder: adapters merged, in the dtype that is asked for.
#include <memory>

#include "app/command.h"
#include "app/console.h"
#include "base/file.h"
#include "store/run.h"
#include "train/text_model.h"

namespace whet::app {
namespace {

struct ExportOptions {
  std::string out;
  std::string dtype = "float32";
  std::int64_t step = -1;
};

template <class Visitor>
void visit_fields(ExportOptions& o, Visitor&& visit) {
  using namespace base;
  visit(o.out, "out", "the new folder", anything());
  visit(o.dtype, "dtype", "of the weights in the file", one_of({"float32", "bfloat16", "float16"}));
  visit(o.step, "step", "of a run: the checkpoint to take; -1: the newest", at_least(-1));
}

/// The folder of a model, or of a run's checkpoint.
std::filesystem::path model_of(const std::string& given, std::int64_t step) {
  if (!std::filesystem::is_directory(std::filesystem::path(given) / store::kCheckpointsFolder)) {
    if (step >= 0) base::user_error("step", "{} beside {}, which is no run's folder", step, given);
    return train::resolve_model(given);
  }
  const auto checkpoints = store::checkpoints_of(given);
  if (checkpoints.empty()) base::user_error("export", "{} has no checkpoint yet", given);
  if (step < 0) return checkpoints.back().path;
  std::vector<std::int64_t> steps;
  for (const auto& checkpoint : checkpoints) {
    if (checkpoint.step == step) return checkpoint.path;
    steps.push_back(checkpoint.step);
  }
  base::user_error("step", "{}, want one of {}'s checkpoints: {}", step, given, fmt::join(steps, ", "));
}

int run(const std::string& given, const ExportOptions& options) {
  if (options.out.empty()) base::user_error("export", "want --out FOLDER");
  const std::filesystem::path from = model_of(given, options.step), out = options.out;
  base::require_new_folder(out);
  const train::TextModel model = train::open_text_model(from, 0);
  base::create_new_folder(out);
  model.model->save_merged(out, options.dtype);
  train::copy_tokenizer(from, out);
  print_line(fmt::format("{} in {}: {} parameters in {}", from.string(), options.dtype, model.model->parameter_count(),
                         out.string()));
  return 0;
}

const base::Registrar kRegistered(
    commands(), "export",
    Command{"write a model as a Hugging Face folder: adapters merged, in another dtype",
            "  whet export runs/vote --out model\n"
            "  whet export runs/vote --step 300 --out model --dtype bfloat16\n"
            "  whet export runs/lora/checkpoints/step-000300 --out merged",
            [](CLI::App& app) -> Run {
              auto options = std::make_shared<ExportOptions>();
              auto from = std::make_shared<std::string>();
              app.add_option("MODEL", *from,
                             "a run's folder, a model folder, an adapter's, or the name of an embedded model")
                  ->required();
              add_fields(app, *options);
              return [options, from] { return run(*from, *options); };
            }});

}  // namespace
}  // namespace whet::app
