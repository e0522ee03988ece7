// What became of each held-out problem of a run: a row a problem, in two blocks. page.js says where a map goes.
"use strict";
const whetMaps = (() => {
  function problemMap(parent, run, index, { css, share, lastStep }) {
    const card = document.createElement("article"), title = document.createElement("h3"), about = document.createElement("p");
    const values = document.createElement("div"), box = document.createElement("div"), canvas = document.createElement("canvas");
    card.className = "chart";
    card.dataset.map = String(index);
    title.textContent = "Problem by problem \u00b7 " + run.name;
    about.className = "about";
    about.textContent = "A row is a held-out problem, the fuller its color the more of its rollouts are right. Above those whose first majority was right, below the others; the surest first.";
    values.className = "values";
    box.className = "plot map";
    canvas.setAttribute("role", "img");
    box.append(canvas);
    card.append(title, about, values, box);
    parent.append(card);
    const { x: steps } = run.problems;
    const blocks = [{ rows: run.problems.right, color: "--first-right", label: "right at first" },
      { rows: run.problems.wrong, color: "--first-wrong", label: "wrong at first" }].filter(({ rows }) => rows.length > 0);
    const mean = (rows, at) => rows.reduce((sum, row) => sum + row[at], 0) / rows.length;
    // A cell reaches half-way to its neighbours, the last as far behind it: other runs may be longer.
    const last = steps.length - 1;
    const from = (i) => i === 0 ? 0 : (steps[i - 1] + steps[i]) / 2;
    const to = (i) => i < last ? (steps[i] + steps[i + 1]) / 2 : Math.min(lastStep, last > 0 ? 2 * steps[last] - from(last) : lastStep);
    const map = { card, blocks };

    map.tell = (at) => {
      const step = document.createElement("span");
      step.className = "step";
      step.textContent = at === null ? "first and last" : "step " + steps[at];
      values.replaceChildren(step, ...blocks.map(({ rows, color, label }) => {
        const node = document.createElement("span"), swatch = document.createElement("span"), value = document.createElement("b");
        swatch.className = "swatch dash-0";
        swatch.style.setProperty("--c", `var(${color})`);
        value.textContent = at === null ? `${share(mean(rows, 0))} \u2192 ${share(mean(rows, steps.length - 1))}` : share(mean(rows, at));
        node.append(swatch, `${rows.length} ${label}`, value);
        return node;
      }));
    };

    map.draw = () => {
      const dpr = devicePixelRatio, width = Math.max(200, box.clientWidth), height = 250;
      canvas.width = Math.round(width * dpr);
      canvas.height = Math.round(height * dpr);
      canvas.style.width = width + "px";
      canvas.style.height = height + "px";
      const ctx = canvas.getContext("2d"), left = 56 * dpr, right = canvas.width - 14 * dpr, bottom = canvas.height - 46 * dpr;
      const gap = blocks.length > 1 ? 8 * dpr : 0, top = 12 * dpr;
      const count = blocks.reduce((sum, { rows }) => sum + rows.length, 0), high = (bottom - top - gap) / count;
      const at = (step) => left + (right - left) * step / lastStep;
      ctx.clearRect(0, 0, canvas.width, canvas.height);
      ctx.font = `${Math.round(12 * dpr)}px system-ui, sans-serif`;
      let y = top;
      for (const block of blocks) {
        block.box = { left, right: at(to(last)), top: y, bottom: y + high * block.rows.length };
        ctx.fillStyle = css("--chip");
        ctx.fillRect(left, y, block.box.right - left, high * block.rows.length);
        ctx.fillStyle = css(block.color);
        for (const row of block.rows) {
          row.forEach((value, i) => {
            const x = Math.round(at(from(i))), end = Math.round(at(to(i))), low = Math.round(y), under = Math.round(y + high);
            ctx.globalAlpha = value;
            ctx.fillRect(x, low, end - x, Math.max(under - low, 1));
          });
          y += high;
        }
        ctx.globalAlpha = 1;
        ctx.save();
        ctx.translate(left - 12 * dpr, (block.box.top + block.box.bottom) / 2);
        ctx.rotate(-Math.PI / 2);
        ctx.textAlign = "center";
        ctx.textBaseline = "alphabetic";
        if (block.box.bottom - block.box.top > 3 * dpr * String(block.rows.length).length * 4) ctx.fillText(String(block.rows.length), 0, 0);
        ctx.restore();
        y += gap;
      }
      if (run.alarm !== null) {
        ctx.setLineDash([2 * dpr, 3 * dpr]);
        ctx.lineWidth = 1.5 * dpr;
        ctx.strokeStyle = css("--ink");
        ctx.beginPath();
        ctx.moveTo(at(run.alarm), top);
        ctx.lineTo(at(run.alarm), bottom);
        ctx.stroke();
        ctx.setLineDash([]);
      }
      ctx.fillStyle = css("--soft");
      ctx.textBaseline = "top";
      ctx.textAlign = "center";
      for (const part of [0, 0.25, 0.5, 0.75, 1]) ctx.fillText(String(Math.round(part * lastStep)), at(part * lastStep), bottom + 6 * dpr);
      ctx.fillText("step", (left + right) / 2, bottom + 24 * dpr);
    };
    canvas.addEventListener("mousemove", (event) => {
      const box = canvas.getBoundingClientRect(), step = (event.clientX - box.left - 56) / (box.width - 70) * lastStep;
      const found = steps.findIndex((_, i) => step >= from(i) && step <= to(i));
      map.tell(found < 0 ? null : found);
    });
    canvas.addEventListener("mouseleave", () => map.tell(null));
    canvas.setAttribute("aria-label", blocks.map(({ rows, label }) =>
      `${rows.length} problems ${label}: ${share(mean(rows, 0))} right at step ${steps[0]}, ${share(mean(rows, steps.length - 1))} at step ${steps[steps.length - 1]}`).join("; "));
    new ResizeObserver(() => { if (box.clientWidth > 0) map.draw(); }).observe(box);
    map.tell(null);
    map.draw();
    return map;
  }

  // Of each block of a map, the pixels that are colored.
  function inkOf(map, css) {
    const ctx = map.card.querySelector("canvas").getContext("2d"), chip = document.createElement("canvas").getContext("2d");
    chip.fillStyle = css("--chip");
    chip.fillRect(0, 0, 1, 1);
    const empty = chip.getImageData(0, 0, 1, 1).data;
    return map.blocks.map(({ box }) => {
      const pixels = ctx.getImageData(box.left, box.top, box.right - box.left, box.bottom - box.top).data;
      let ink = 0;
      for (let i = 0; i < pixels.length; i += 4) ink += Math.abs(pixels[i] - empty[0]) + Math.abs(pixels[i + 2] - empty[2]) > 24;
      return ink;
    });
  }

  return { problemMap, inkOf };
})();
