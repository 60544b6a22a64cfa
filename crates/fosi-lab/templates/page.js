// Extends a page that works without scripts: values at the pointer or the arrow keys, and choices kept in the address.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const { lines } = JSON.parse(document.getElementById("readings").textContent);

  const element = (name, className, text = "") => {
    const made = document.createElement(name);
    made.className = className;
    made.textContent = text;
    return made;
  };

  const drawn = (name, attributes) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };

  const sample = (style) => {
    const svg = drawn("svg", { class: `sample ${style}`, viewBox: "0 0 32 8", "aria-hidden": "true" });
    svg.append(drawn("path", { d: "M2,4H30" }));
    return svg;
  };

  // The points of a line, read from its path; they are the positions of its values, in order.
  const places = new Map();
  const pointsOf = (path) => {
    if (!places.has(path)) {
      const pairs = path.getAttribute("d").match(/-?[\d.]+,-?[\d.]+/g) ?? [];
      places.set(path, pairs.map((pair) => pair.split(",").map(Number)));
    }
    return places.get(path);
  };

  const nearest = (points, x) => {
    let best = 0;
    points.forEach(([at], index) => {
      if (Math.abs(at - x) < Math.abs(points[best][0] - x)) best = index;
    });
    return best;
  };

  const visibleLines = (chart) =>
    [...chart.querySelectorAll("path[data-line]")].filter((path) => getComputedStyle(path).display !== "none");

  const hide = (chart) => {
    for (const mark of chart.querySelectorAll(".marker, .crosshair")) mark.remove();
    chart.closest("figure").querySelector(".reading").hidden = true;
  };

  // Shows the values of all visible lines nearest to a position, in units of the plot.
  const show = (chart, x) => {
    hide(chart);
    const found = visibleLines(chart).map((path) => {
      const points = pointsOf(path);
      const line = lines[path.dataset.line];
      const [across, values] = [line.x[chart.dataset.x], line.y[path.dataset.y]];
      const index = Math.min(nearest(points, x), values.length - 1);
      return { path, line, at: points[index], across: across[index], value: values[index] };
    });
    if (found.length === 0) return;
    const distance = ({ at }) => Math.abs(at[0] - x);
    const first = found.reduce((best, other) => (distance(other) < distance(best) ? other : best));
    for (const plot of chart.querySelectorAll(".plot")) {
      const height = plot.viewBox.baseVal.height - 8;
      plot.append(drawn("line", { class: "crosshair", x1: first.at[0], x2: first.at[0], y1: 0, y2: height }));
    }
    for (const { path, line, at } of found) {
      const hue = line.style.split(" ")[0];
      path.ownerSVGElement.append(drawn("circle", { class: `marker ${hue}`, cx: at[0], cy: at[1], r: 4 }));
    }
    fill(chart, first, found);
  };

  const fill = (chart, first, found) => {
    const figure = chart.closest("figure");
    const reading = figure.querySelector(".reading");
    const table = document.createElement("table");
    for (const { line, across, value } of found) {
      const row = table.insertRow();
      const name = element("th", "", line.name);
      name.scope = "row";
      name.prepend(sample(line.style));
      row.append(name, element("td", "", value));
      if (across !== first.across) row.append(element("td", "", across));
    }
    reading.replaceChildren(element("p", "", first.across), table);
    reading.hidden = false;
    place(figure, reading, first);
  };

  // Next to the position, on the side with enough room, otherwise below the chart.
  const place = (figure, reading, { path, at }) => {
    const frame = figure.getBoundingClientRect();
    const { x } = new DOMPoint(...at).matrixTransform(path.getScreenCTM());
    const [across, gap] = [x - frame.left, 16];
    const before = across - gap - reading.offsetWidth;
    const after = across + gap;
    const plot = path.ownerSVGElement;
    const fits = after + reading.offsetWidth <= frame.width - 4;
    const beside = fits || before >= 4;
    const left = fits ? after : beside ? before : (frame.width - reading.offsetWidth) / 2;
    const top = beside ? plot.getBoundingClientRect().top + 6 : plot.closest(".chart").getBoundingClientRect().bottom + 4;
    reading.style.left = `${Math.max(4, left)}px`;
    reading.style.top = `${top - frame.top}px`;
  };

  const underPointer = (chart, event) => {
    const matrix = chart.querySelector(".plot path")?.getScreenCTM();
    if (!matrix) return;
    show(chart, new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse()).x);
  };

  // The arrow keys step through the points of the longest line.
  const underKey = (chart, state, key) => {
    const all = visibleLines(chart).map(pointsOf);
    if (all.length === 0) return;
    const points = all.reduce((most, other) => (other.length > most.length ? other : most));
    const last = points.length - 1;
    const now = Math.min(state.index ?? last, last);
    const moves = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: last, Focus: now };
    state.index = Math.max(0, Math.min(last, moves[key]));
    show(chart, points[state.index][0]);
  };

  for (const figure of document.querySelectorAll("figure")) {
    const reading = element("div", "reading");
    reading.setAttribute("role", "status");
    reading.hidden = true;
    figure.append(reading);
  }
  for (const chart of document.querySelectorAll(".chart")) {
    if (!chart.querySelector("path[data-line]")) continue;
    const state = {};
    chart.tabIndex = 0;
    chart.setAttribute("aria-roledescription", "chart; the arrow keys read its values");
    chart.addEventListener("pointermove", (event) => underPointer(chart, event));
    chart.addEventListener("pointerdown", (event) => underPointer(chart, event));
    // Lifting a finger also leaves the chart; the values stay until another position is touched.
    chart.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse") hide(chart);
    });
    chart.addEventListener("focus", () => {
      if (chart.matches(":focus-visible")) underKey(chart, state, "Focus");
    });
    chart.addEventListener("blur", () => hide(chart));
    chart.addEventListener("keydown", (event) => {
      if (event.key === "Escape") return hide(chart);
      if (!["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) return;
      event.preventDefault();
      underKey(chart, state, event.key);
    });
  }

  // The page of an unfinished run is reloaded repeatedly; the part of the address after # keeps the choices.
  const inputs = [...document.querySelectorAll(".curves input")];
  const kept = location.hash.match(/^#show=(.*)$/)?.[1].split(",") ?? [];
  for (const input of inputs.filter((input) => kept.includes(input.id))) {
    input.checked = input.type === "radio" || !input.defaultChecked;
  }
  const keep = () => {
    const changed = inputs.filter(
      (input) => input.checked !== input.defaultChecked && (input.type === "checkbox" || input.checked),
    );
    const choice = changed.map((input) => input.id).join(",");
    history.replaceState(null, "", location.href.split("#")[0] + (choice && `#show=${choice}`));
  };
  for (const input of inputs) input.addEventListener("change", keep);
})();
