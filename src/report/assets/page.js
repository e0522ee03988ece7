// The charts of a report: one uPlot each over the series of every run, with one cursor and one legend for all of them.
"use strict";
(() => {
  const runs = JSON.parse(document.getElementById("data").textContent);
  const errors = [];
  addEventListener("error", (event) => errors.push(String(event.message)));

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const runColor = (index) => css("--run-" + runs[index].color);
  const runDash = (index) => [[], [7, 4], [2, 3], [7, 3, 2, 3]][runs[index].dash];
  // More labels than this cover each other and the lines; the table has the numbers.
  const mostLabels = 5;
  const hidden = new Set();
  const charts = [];

  // ---- numbers ----
  const minus = (text) => text.replace("-", "\u2212");
  const share = (v) => minus((100 * v).toFixed(1)) + "\u00a0%";
  const plain = (v) => v === 0 ? "0" : minus(Math.abs(v) < 0.001 ? v.toExponential(1) : String(Number(v.toPrecision(3))));
  const isNumber = (v) => typeof v === "number" && Number.isFinite(v);

  // ---- what is drawn ----
  const percentScale = { format: share, tick: (v) => Math.round(100 * v) + "\u00a0%", unit: "%", low: 0, high: 1 };
  const shareOf = (unit) => ({ ...percentScale, unit });
  const free = (unit) => ({ format: plain, tick: plain, unit });
  const fromZero = (unit) => ({ format: plain, tick: plain, unit, low: 0 });
  const mainCharts = [
    { key: "heldout_accuracy", title: "Held-out accuracy", wide: true, marks: "accuracy", ...shareOf("problems solved (%)"),
      about: "Right answers on problems that training never sees. \u25cf the peak; the dashed line is where reward accuracy falls below half of its peak. Without labels: \u25c6 the checkpoint that the watch keeps, the dotted line its alarm, the shaded band the warning before it." },
    { fill: problemMaps },
    { fill: foretoldPanels },
    { fill: rewardPanels },
    { key: "reward_accuracy", title: "Reward accuracy", marks: "collapse", ...shareOf("rollouts (%)"),
      about: "How often the pseudo-reward says what the truth would. The collapse is judged here." },
    { key: "base_logprob", title: "The base\u2019s view of the samples", marks: "kept", ...free("log-probability (nats per token)"),
      about: "What the frozen base thinks of the policy\u2019s answers to held-out prompts. Needs no labels. \u25c6 the checkpoint to keep; the dotted line is the alarm." },
    { key: "majority_ratio", title: "Majority ratio", ...shareOf("rollouts (%)"),
      about: "How much of a group gives its most frequent answer." },
    { key: "token_entropy", title: "Token entropy", ...fromZero("entropy (nats per token)"),
      about: "How undecided the policy is at each token." },
    { key: "length", title: "Length", ...fromZero("tokens per response"),
      about: "Mean length of a response, its end token included." },
    { key: "mutual_information", title: "Problem and answer", ...fromZero("mutual information (nats)"),
      about: "0 when the same answers are given whatever is asked." },
    { key: "loss", title: "Loss", ...free("nats per token"), about: "Loss of next-token prediction." },
  ];
  const moreCharts = [
    { key: "base_agreement", title: "Agreement with the base\u2019s vote", ...shareOf("held-out problems (%)") },
    { key: "heldout_majority_accuracy", title: "Held-out majority accuracy", ...shareOf("problems (%)") },
    { key: "heldout_pass_at_k", title: "Held-out pass@k", ...shareOf("problems (%)") },
    { key: "label_accuracy", title: "Label accuracy", ...shareOf("groups whose vote is right (%)") },
    { key: "pass_at_n", title: "Pass@n", ...shareOf("groups with a right response (%)") },
    { key: "answered", title: "Answered", ...shareOf("responses (%)") },
    { key: "truncated", title: "Truncated", ...shareOf("responses (%)") },
    { key: "repetition", title: "Repetition", ...shareOf("repeated 4-grams (%)") },
    { key: "answer_entropy", title: "Answer entropy", ...fromZero("nats within a group") },
    { key: "kl_to_start", title: "Distance from the start", ...free("KL (nats per token)") },
    { key: "gradient_norm", title: "Gradient norm", ...fromZero("before clipping") },
    { key: "clip_share", title: "Clipped", ...shareOf("tokens (%)") },
    { key: "learning_rate", title: "Learning rate", ...fromZero("per step") },
  ];

  function paint(swatch, index) {
    swatch.className = "swatch dash-" + runs[index].dash;
    swatch.style.setProperty("--c", `var(--run-${runs[index].color})`);
  }

  const pointsOf = (run, key) => run.series[key] && run.series[key].y.some(isNumber) ? run.series[key] : null;

  // A value of every step is noisy: it is drawn faintly, with its mean over a window of steps (odd, centered, shorter at
  // the ends) on top.
  const smoothed = (points) => points.x.length > 80 ? Math.floor(points.x.length / 80) * 2 + 3 : 1;

  function means(points, window) {
    const half = (window - 1) / 2;
    return { x: points.x, y: points.y.map((value, i) => {
      if (!isNumber(value)) return null;
      const reach = Math.min(half, i, points.y.length - 1 - i);
      const around = points.y.slice(i - reach, i + reach + 1).filter(isNumber);
      return around.reduce((sum, v) => sum + v, 0) / around.length;
    }) };
  }

  // One x axis for all series: a step that a series lacks is undefined (the line goes on), a value that was not finite is
  // null (the line has a gap).
  function aligned(lines) {
    const steps = [...new Set(lines.flatMap((s) => s.points.x))].sort((a, b) => a - b);
    const place = new Map(steps.map((step, i) => [step, i]));
    return [steps, ...lines.map((s) => {
      const values = new Array(steps.length).fill(undefined);
      s.points.x.forEach((step, i) => { values[place.get(step)] = s.points.y[i]; });
      return values;
    })];
  }

  const lastStep = Math.max(1, ...runs.flatMap((run) => Object.values(run.series).map((s) => s.x[s.x.length - 1])));

  // ---- marks: drawn over the lines, in the run's color ----
  const font = (weight) => `${weight} ${Math.round(12 * devicePixelRatio)}px system-ui, sans-serif`;

  function drawText(u, text, x, y, color, taken) {
    const { ctx } = u, dpr = devicePixelRatio, height = 15 * dpr;
    ctx.font = font(600);
    const width = ctx.measureText(text).width, box = u.bbox;
    const left = Math.min(Math.max(x, box.left + 2 * dpr), box.left + box.width - width - 2 * dpr);
    // Labels that would cover each other move up or down by lines, to the nearest free place within the chart.
    const inside = (t) => t >= box.top - 4 * dpr && t <= box.top + box.height - height;
    const isFree = (t) => !taken.some((r) => left < r.right && left + width > r.left && t < r.top + height && t + height > r.top);
    const lines = Array.from({ length: 25 }, (_, i) => y + (i % 2 ? 1 : -1) * Math.ceil(i / 2) * height);
    const top = lines.find((t) => inside(t) && isFree(t)) ?? y;
    taken.push({ left: left - 4 * dpr, right: left + width + 4 * dpr, top });
    ctx.textAlign = "left";
    ctx.textBaseline = "top";
    ctx.lineWidth = 4 * dpr;
    ctx.lineJoin = "round";
    ctx.strokeStyle = css("--card");
    ctx.strokeText(text, left, top);
    ctx.fillStyle = color;
    ctx.fillText(text, left, top);
  }

  function verticalLine(u, step, color, dash) {
    const { ctx, bbox } = u, x = Math.round(u.valToPos(step, "x", true)) + 0.5;
    ctx.setLineDash(dash.map((d) => d * devicePixelRatio));
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.strokeStyle = color;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.setLineDash([]);
    return x;
  }

  function drawMarks(u, chart) {
    const { ctx, bbox } = u, dpr = devicePixelRatio, taken = [];
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top - 6 * dpr, bbox.width, bbox.height + 6 * dpr);
    ctx.clip();
    const visible = (step) => step >= u.scales.x.min && step <= u.scales.x.max;
    const labelled = chart.lines.filter(({ index }) => !hidden.has(index)).length <= mostLabels;
    const label = (...text) => { if (labelled) drawText(u, ...text, taken); };
    const bottom = bbox.top + bbox.height - 18 * dpr;
    for (const { run, index } of chart.lines) {
      if (hidden.has(index)) continue;
      const color = runColor(index);
      if (chart.marks !== "kept" && run.collapse !== null && visible(run.collapse)) {
        const x = verticalLine(u, run.collapse, color, [5, 4]);
        label("collapse @ " + run.collapse, x + 5 * dpr, bottom, color);
      }
      if (chart.marks !== "collapse" && run.alarm !== null && visible(run.alarm)) {
        if (run.warning !== null && run.warning < run.alarm) {
          const from = u.valToPos(Math.max(run.warning, u.scales.x.min), "x", true), to = u.valToPos(run.alarm, "x", true);
          ctx.globalAlpha = 0.12;
          ctx.fillStyle = color;
          ctx.fillRect(from, bbox.top, to - from, bbox.height);
          ctx.globalAlpha = 1;
        }
        const x = verticalLine(u, run.alarm, color, [2, 3]);
        label("alarm @ " + run.alarm, x + 5 * dpr, bottom, color);
      }
      if (chart.marks === "foretold" && isNumber(run.limit)) {
        const y = Math.round(u.valToPos(run.limit, "y", true)) + 0.5;
        ctx.setLineDash([dpr, 3 * dpr]);
        ctx.lineWidth = dpr;
        ctx.strokeStyle = css("--soft");
        ctx.beginPath();
        ctx.moveTo(bbox.left, y);
        ctx.lineTo(bbox.left + bbox.width, y);
        ctx.stroke();
        ctx.setLineDash([]);
        label("limit " + share(run.limit), bbox.left + bbox.width - 90 * dpr, y - 17 * dpr, css("--soft"));
      }
      const symbol = (step, isPeak) => {
        const points = chart.key ? pointsOf(run, chart.key) : null;
        const at = step === null || !points ? -1 : points.x.indexOf(step);
        if (at < 0 || !isNumber(points.y[at]) || !visible(step)) return;
        const x = u.valToPos(step, "x", true), y = u.valToPos(points.y[at], "y", true), r = 5 * dpr;
        ctx.beginPath();
        if (isPeak) ctx.arc(x, y, r, 0, 2 * Math.PI);
        else { ctx.moveTo(x, y - r); ctx.lineTo(x + r, y); ctx.lineTo(x, y + r); ctx.lineTo(x - r, y); ctx.closePath(); }
        ctx.fillStyle = color;
        ctx.fill();
        ctx.lineWidth = 2 * dpr;
        ctx.strokeStyle = css("--card");
        ctx.stroke();
        label(isPeak ? `${chart.format(points.y[at])} @ ${step}` : "keep " + step, x + 7 * dpr, y - 20 * dpr, color);
      };
      if (chart.marks === "accuracy" && run.peak) symbol(run.peak.x, true);
      if (chart.marks === "kept" || (chart.marks === "accuracy" && !(run.peak && run.peak.x === run.kept))) symbol(run.kept, false);
    }
    ctx.restore();
  }

  // ---- the line of values above a chart: at the cursor, or the last ones ----
  function showValues(chart) {
    const { plot } = chart, at = plot.cursor.idx;
    const inside = at !== null && at !== undefined && plot.cursor.left >= 0;
    const nodes = [];
    const step = document.createElement("span");
    step.className = "step";
    step.textContent = inside ? "step " + plot.data[0][at] : "at the end";
    nodes.push(step);
    chart.series.forEach((s) => {
      if (s.index !== undefined && hidden.has(s.index)) return;
      const values = plot.data[s.place];
      // The value at or before the cursor: held-out accuracy is not measured at every step.
      let j = inside ? at : values.length - 1;
      while (j > 0 && values[j] === undefined) --j;
      const node = document.createElement("span"), swatch = document.createElement("span"), value = document.createElement("b");
      if (s.neutral) swatch.className = "swatch truth";
      else paint(swatch, s.index);
      value.textContent = isNumber(values[j]) ? s.format(values[j]) : "\u2013";
      node.append(swatch, s.label, value);
      nodes.push(node);
    });
    chart.values.replaceChildren(...nodes);
  }

  // ---- a chart ----
  const sync = uPlot.sync("steps");

  function scaleRange(chart) {
    return (u, min, max) => {
      if (min === null || max === null) return [0, 1];
      // Room above 100 % for the labels of peaks.
      if (chart.low === 0 && chart.high === 1) return [0, chart.marks === "accuracy" ? 1.09 : 1.04];
      if (chart.low === 0 && min >= 0) return [0, max > 0 ? max * 1.08 : 1];
      const room = (max - min || Math.abs(max) || 1) * 0.08;
      return [min - room, max + room];
    };
  }

  function axis(options) {
    return {
      stroke: () => css("--soft"), grid: { stroke: () => css("--grid"), width: 1 }, ticks: { show: false },
      font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif", labelGap: 2, ...options,
    };
  }

  function addChart(parent, spec) {
    const card = document.createElement("article");
    card.className = spec.wide ? "chart wide" : "chart";
    card.dataset.chart = spec.id;
    const title = document.createElement("h3"), about = document.createElement("p");
    const values = document.createElement("div"), box = document.createElement("div");
    title.textContent = spec.title;
    about.className = "about";
    about.textContent = spec.about || "";
    values.className = "values";
    box.className = "plot";
    card.append(title);
    if (spec.about) card.append(about);
    card.append(values, box);
    parent.append(card);

    const chart = { ...spec, card, values };
    const height = () => spec.wide ? (innerWidth < 860 ? 300 : 380) : 250;
    const second = spec.series.some((s) => s.scale === "y2");
    // What uPlot draws: for each series of the chart its values, and its means where it is noisy. `place` is where the
    // values stand in uPlot's data.
    const lines = [];
    for (const s of spec.series) {
      const window = smoothed(s.points);
      lines.push({ s, points: s.points, faint: window > 1 });
      s.place = lines.length;
      if (window > 1) lines.push({ s, points: means(s.points, window), faint: false });
    }
    chart.plot = new uPlot({
      width: Math.max(200, box.clientWidth), height: height(),
      padding: [12, second ? 0 : 14, 0, 0],
      legend: { show: false },
      cursor: { sync: { key: sync.key, setSeries: false }, y: false, points: { size: 8 }, drag: { x: true, y: false } },
      scales: {
        // All charts span all steps, whatever their own series do, until one zooms into some of them.
        x: { time: false, range: (u, min, max) => min <= u.data[0][0] && max >= u.data[0][u.data[0].length - 1] ? [0, lastStep] : [min, max] },
        y: { range: scaleRange(spec) }, y2: { range: scaleRange(percentScale) },
      },
      axes: [
        axis({ label: "step", labelSize: 18, size: 28, values: (u, splits) => splits.map((v) => Number.isInteger(v) ? String(v) : "") }),
        axis({ label: spec.unit, labelSize: 20, size: 56, values: (u, splits) => splits.map(spec.tick) }),
        ...(second ? [axis({ scale: "y2", side: 1, grid: { show: false }, label: "true reward (%)", labelSize: 20, size: 52,
          values: (u, splits) => splits.map(percentScale.tick) })] : []),
      ],
      series: [{}, ...lines.map(({ s, points, faint }) => ({
        label: s.label, scale: s.scale || "y", alpha: faint ? 0.28 : 1, width: faint ? 1 : 2,
        dash: faint ? [] : s.neutral ? [6, 4] : runDash(s.index),
        stroke: () => s.neutral ? css("--ink") : runColor(s.index),
        points: { show: !faint && (points.x.length < 2 || (spec.wide && points.x.length <= 30)), size: 5 },
        spanGaps: false,
      }))],
      hooks: {
        draw: spec.marks ? [(u) => drawMarks(u, chart)] : [],
        setCursor: [() => chart.plot && showValues(chart)],
      },
    }, aligned(lines), box);
    chart.drawn = lines;
    charts.push(chart);
    showValues(chart);
    new ResizeObserver(() => {
      if (box.clientWidth > 0 && box.clientWidth !== chart.plot.width) chart.plot.setSize({ width: box.clientWidth, height: height() });
    }).observe(box);
  }

  function overlay(parent, spec) {
    const lines = runs.map((run, index) => ({ run, index })).filter(({ run }) => pointsOf(run, spec.key));
    if (lines.length === 0) return;
    const series = lines.map(({ run, index }) => ({ points: pointsOf(run, spec.key), index, label: run.name, format: spec.format }));
    addChart(parent, { ...spec, id: spec.key, lines, series });
  }

  // Pseudo-reward against true reward: a panel a run, because rewards differ in unit. Both use one axis where the
  // pseudo-reward is itself a share.
  function rewardPanels(outer) {
    const parent = panelsIn(outer);
    runs.forEach((run, index) => {
      const points = pointsOf(run, "reward"), truth = pointsOf(run, "true_reward");
      if (!points) return;
      const numbers = points.y.filter(isNumber);
      const isShare = Math.min(...numbers) >= 0 && Math.max(...numbers) <= 1;
      const scale = isShare ? shareOf("reward (%)") : free("pseudo-reward");
      const series = [{ points, index, label: "pseudo-reward", format: scale.format }];
      if (truth) series.push({ points: truth, neutral: true, label: "true reward", format: share, scale: isShare ? "y" : "y2" });
      addChart(parent, { ...scale, id: "reward-" + index, title: "Paid and true \u00b7 " + run.name, series, lines: [{ run, index }],
        about: "What the policy is paid, and what the truth would pay it (dashed)." });
    });
  }

  function panelsIn(outer) {
    const parent = document.createElement("div");
    parent.className = "pairs";
    outer.append(parent);
    return parent;
  }

  // What sharpening alone predicts, beside what was measured: a panel a run.
  function foretoldPanels(outer) {
    const parent = panelsIn(outer);
    runs.forEach((run, index) => {
      const points = pointsOf(run, "heldout_accuracy"), foretold = pointsOf(run, "predicted_accuracy");
      if (!points || !foretold) return;
      const series = [{ points, index, label: "measured", format: share },
        { points: foretold, neutral: true, label: "foretold", format: share }];
      addChart(parent, { ...shareOf("problems solved (%)"), id: "foretold-" + index, title: "Measured and foretold \u00b7 " + run.name,
        series, lines: [{ run, index }], marks: "foretold",
        about: "Held-out accuracy, and what sharpening the base\u2019s answers alone would give (dashed). Of the run the forecast knows only how much mass lies on the base\u2019s votes." });
    });
  }

  // ---- what became of each held-out problem: a row a problem, in two blocks ----
  const maps = [];

  function problemMaps(outer) {
    const parent = panelsIn(outer);
    runs.forEach((run, index) => {
      if (run.problems) maps.push(whetMaps.problemMap(parent, run, index, { css, share, lastStep }));
    });
  }

  function fill(parent, specs) {
    for (const spec of specs) spec.fill ? spec.fill(parent) : overlay(parent, spec);
  }

  // ---- the legend: names, and which runs are shown ----
  const legend = document.getElementById("legend");
  runs.forEach((run, index) => {
    const button = document.createElement("button"), swatch = document.createElement("span");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    paint(swatch, index);
    button.append(swatch, run.name);
    button.addEventListener("click", () => {
      hidden.has(index) ? hidden.delete(index) : hidden.add(index);
      button.setAttribute("aria-pressed", String(!hidden.has(index)));
      for (const chart of charts) {
        chart.drawn.forEach(({ s }, i) => { if (s.index === index) chart.plot.setSeries(i + 1, { show: !hidden.has(index) }); });
        showValues(chart);
      }
    });
    legend.append(button);
  });
  const hint = document.createElement("span");
  hint.className = "hint";
  hint.textContent = "Click a run to hide it, drag over a chart to zoom, double-click to reset.";
  legend.append(hint);

  fill(document.getElementById("main-charts"), mainCharts);
  const more = document.getElementById("more");
  const hasMore = moreCharts.some((spec) => runs.some((run) => pointsOf(run, spec.key)));
  more.hidden = !hasMore;
  // A chart in a closed box has no width to be drawn at, so these wait until they are asked for.
  more.addEventListener("toggle", () => {
    if (more.open && !more.dataset.drawn) {
      more.dataset.drawn = "yes";
      fill(document.getElementById("more-charts"), moreCharts);
    }
  });

  // ---- light and dark ----
  const root = document.documentElement, toggle = document.getElementById("theme");
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : prefersDark.matches;
  const recolor = () => {
    toggle.textContent = isDark() ? "Light" : "Dark";
    for (const chart of charts) chart.plot.redraw(false, true);
    for (const map of maps) map.draw();
  };
  toggle.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; recolor(); });
  prefersDark.addEventListener("change", recolor);
  recolor();
  // Paper is light.
  let screenTheme;
  addEventListener("beforeprint", () => { screenTheme = root.dataset.theme; root.dataset.theme = "light"; recolor(); });
  addEventListener("afterprint", () => { screenTheme ? root.dataset.theme = screenTheme : delete root.dataset.theme; recolor(); });

  // ---- the page's own account of what it drew, which the tests read (open the page with #check; an
  // "account" event asks for a new one) ----
  function inkOf(chart) {
    const { canvas } = chart.plot.ctx, pixels = chart.plot.ctx.getImageData(0, 0, canvas.width, canvas.height).data;
    const colors = chart.series.map((s) => {
      const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
      probe.fillStyle = s.neutral ? css("--ink") : runColor(s.index);
      probe.fillRect(0, 0, 1, 1);
      return probe.getImageData(0, 0, 1, 1).data;
    });
    const ink = colors.map(() => 0);
    for (let i = 0; i < pixels.length; i += 4) {
      if (pixels[i + 3] < 200) continue;
      colors.forEach((c, k) => {
        if (Math.abs(pixels[i] - c[0]) + Math.abs(pixels[i + 1] - c[1]) + Math.abs(pixels[i + 2] - c[2]) < 24) ++ink[k];
      });
    }
    return ink;
  }
  function account() {
    for (const map of maps) map.card.dataset.mapInk = whetMaps.inkOf(map, css).join(" ");
    for (const chart of charts) chart.card.dataset.ink = inkOf(chart).join(" ");
    root.dataset.errors = errors.join(" | ");
    root.dataset.overflow = String(root.scrollWidth - root.clientWidth);
    root.dataset.charts = String(charts.length);
  }
  if (location.hash === "#check") {
    more.open = !more.hidden;
    addEventListener("account", account);
    setTimeout(account, 400);
  }
})();
