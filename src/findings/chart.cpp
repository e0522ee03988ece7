#include "findings/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "report/html.h"

namespace whet::findings {
namespace {

constexpr double kWidth = 720, kHeight = 340, kLeft = 56, kRight = 16, kTop = 34, kBottom = 40, kLegendLine = 18;
/// Eight colors that stay apart for most eyes and on either ground.
constexpr std::array<const char*, 8> kColors{"#3b7dd8", "#d1495b", "#2a9d6f", "#b07cd6",
                                             "#e08e2b", "#4f5d75", "#00a5b5", "#a8763e"};

struct Range {
  double low = 0, high = 1;
  double share(double value) const { return high > low ? (value - low) / (high - low) : 0.5; }
};

/// A step between ticks: 1, 2 or 5 times a power of ten, about five of them over the range.
double step_of(const Range& range) {
  const double rough = (range.high - range.low) / 5, power = std::pow(10, std::floor(std::log10(rough)));
  const double times = rough / power;
  return power * (times <= 1 ? 1 : times <= 2 ? 2 : times <= 5 ? 5 : 10);
}

/// The range as far as whole ticks. What lies within a hundredth of a tick is there already.
Range rounded(const Range& range) {
  const double step = step_of(range);
  return {step * std::floor(range.low / step + 0.01), step * std::ceil(range.high / step - 0.01)};
}

std::vector<double> ticks_of(const Range& range) {
  const double step = step_of(range);
  std::vector<double> ticks;
  for (double i = std::ceil(range.low / step - 1e-9); i * step <= range.high + 1e-9 * step; ++i) {
    ticks.push_back(i * step);
  }
  return ticks;
}

std::string tick_text(double value) { return fmt::format("{:g}", std::abs(value) < 1e-12 ? 0.0 : value); }

}  // namespace

std::string svg_of(const Figure& figure) {
  Range x{0, 1}, y{0, 1};
  bool any = false;
  for (const Curve& curve : figure.curves) {
    for (const analysis::Point& point : curve.points) {
      const auto step = static_cast<double>(point.step);
      if (!any) x = {step, step}, y = {std::min(0.0, point.value), std::max(0.0, point.value)};
      any = true;
      x = {std::min(x.low, step), std::max(x.high, step)};
      y = {std::min(y.low, point.value), std::max(y.high, point.value)};
    }
  }
  if (x.high == x.low) x.high = x.low + 1;
  if (y.high == y.low) y.high = y.low + 1;
  y = rounded(y);
  const double legend_top = kTop + kHeight + kBottom;
  constexpr std::size_t kPerLine = 3;
  const auto named = static_cast<std::size_t>(
      std::count_if(figure.curves.begin(), figure.curves.end(), [](const Curve& c) { return !c.name.empty(); }));
  const double total = legend_top + kLegendLine * static_cast<double>((named + kPerLine - 1) / kPerLine) + 10;
  const double width = kWidth - kLeft - kRight;
  const auto at_x = [&](double value) { return kLeft + width * x.share(value); };
  const auto at_y = [&](double value) { return kTop + kHeight * (1 - y.share(value)); };

  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {:.0f}\" role=\"img\" font-family=\"system-ui, "
      "sans-serif\" "
      "font-size=\"12\">\n<title>{}</title>\n<rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#ffffff\"/>\n"
      "<text x=\"{}\" y=\"20\" font-size=\"14\" font-weight=\"600\" fill=\"#1c2430\">{}</text>\n",
      kWidth, total, report::html_escape(figure.title), kLeft, report::html_escape(figure.title));
  for (const double tick : ticks_of(y)) {
    svg += fmt::format(
        "<path d=\"M{:.1f} {:.1f}H{:.1f}\" stroke=\"#e3e7ee\"/><text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\" "
        "fill=\"#5b6675\">{}</text>\n",
        kLeft, at_y(tick), kWidth - kRight, kLeft - 6, at_y(tick) + 4, tick_text(tick));
  }
  for (const double tick : ticks_of(x)) {
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\" fill=\"#5b6675\">{}</text>\n",
                       at_x(tick), kTop + kHeight + 18, tick_text(tick));
  }
  svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\" fill=\"#5b6675\">step</text>\n",
                     kWidth - kRight, kTop + kHeight + 34);
  if (!figure.y_label.empty()) {
    svg += fmt::format(
        "<text x=\"14\" y=\"{:.1f}\" transform=\"rotate(-90 14 {:.1f})\" text-anchor=\"middle\" "
        "fill=\"#5b6675\">{}</text>\n",
        kTop + kHeight / 2, kTop + kHeight / 2, report::html_escape(figure.y_label));
  }
  if (!any) svg += fmt::format("<text x=\"{}\" y=\"{}\" fill=\"#5b6675\">no values</text>\n", kLeft + 12, kTop + 24);
  std::size_t index = 0;
  for (const Curve& curve : figure.curves) {
    const char* color = kColors[static_cast<std::size_t>(curve.color) % kColors.size()];
    const char* dash = curve.dashed ? " stroke-dasharray=\"5 4\"" : "";
    std::string path;
    for (const analysis::Point& point : curve.points) {
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", at_x(static_cast<double>(point.step)),
                          at_y(point.value));
    }
    if (!path.empty()) {
      svg +=
          fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.8\" stroke-linejoin=\"round\"{}/>\n",
                      path, color, dash);
    }
    if (curve.name.empty()) continue;
    const double left = kLeft + width / kPerLine * static_cast<double>(index % kPerLine);
    const double line = legend_top + kLegendLine * static_cast<double>(index / kPerLine);
    svg += fmt::format(
        "<path d=\"M{:.1f} {:.1f}h22\" stroke=\"{}\" stroke-width=\"2.5\"{}/><text x=\"{:.1f}\" y=\"{:.1f}\" "
        "fill=\"#1c2430\">{}</text>\n",
        left, line, color, dash, left + 28, line + 4, report::html_escape(curve.name));
    ++index;
  }
  return svg + "</svg>\n";
}

}  // namespace whet::findings
