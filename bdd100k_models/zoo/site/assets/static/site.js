"use strict";

const COLOURS = 12;
const SHAPES = ["circle", "triangle", "rect", "rectRot", "cross"];
const NARROW = 640; // pixels, below which a legend would leave no room for the plot

/** Return a number of a row's data, or null where it has none. */
function number(text) {
  return text === undefined || text === "" ? null : Number(text);
}

/** What a plot can have to the right: the title of its axis, and what a point's cost is divided by. */
const COSTS = {
  parameters: { title: "parameters (millions)", unit: 1e6, text: (x) => `${x.toFixed(1)} M parameters` },
  flops: { title: "GFLOPs of an image", unit: 1e9, text: (x) => `${x.toFixed(1)} GFLOPs` },
};

/** Return the points of the plot, by series, for the rows that a table shows. */
function pointsOf(table, cost) {
  const series = new Map();
  for (const row of table.rows({ search: "applied" }).nodes().toArray()) {
    const x = number(row.dataset[cost]);
    const y = number(row.dataset.score);
    if (x === null || y === null) continue;
    const point = { x: x / COSTS[cost].unit, y, name: row.dataset.name, url: row.querySelector("a").href };
    if (!series.has(row.dataset.series)) series.set(row.dataset.series, []);
    series.get(row.dataset.series).push(point);
  }
  return series;
}

/** Return the colour and shape of the nth series: neighbours differ in both. */
function look(index) {
  return {
    backgroundColor: `hsl(${(index * 360 * 5) / COLOURS % 360} 65% 48%)`,
    borderColor: `hsl(${(index * 360 * 5) / COLOURS % 360} 65% 48%)`,
    pointStyle: SHAPES[index % SHAPES.length],
  };
}

/** Return a chart's settings in the colours of the page. */
function chartOptions(metric, cost) {
  const style = getComputedStyle(document.documentElement);
  const ink = style.getPropertyValue("--ink");
  const line = style.getPropertyValue("--line");
  const axis = (text) => ({
    title: { display: true, text, color: ink },
    ticks: { color: ink },
    grid: { color: line },
    grace: "4%",
  });
  return {
    animation: false,
    maintainAspectRatio: false,
    scales: { x: axis(COSTS[cost].title), y: axis(`${metric} on val`) },
    elements: { point: { radius: 5, hoverRadius: 8, borderWidth: 2 } },
    onClick: (event, elements, chart) => {
      if (elements.length) {
        const { datasetIndex, index } = elements[0];
        location.href = chart.data.datasets[datasetIndex].data[index].url;
      }
    },
    onHover: (event, elements) => {
      event.native.target.style.cursor = elements.length ? "pointer" : "";
    },
    plugins: {
      legend: { display: innerWidth >= NARROW, position: "bottom", labels: { usePointStyle: true, color: ink } },
      tooltip: {
        callbacks: { label: ({ raw }) => [raw.name, `${metric} ${raw.y} with ${COSTS[cost].text(raw.x)}`] },
      },
    },
  };
}

/** Keep the plot equal to what the table shows; several metrics at once cannot be compared and are not drawn. */
function setUpPlot(table) {
  const figure = document.querySelector("figure.plot");
  const hint = document.getElementById("plot-hint");
  const cost = document.getElementById("cost");
  const taskFilter = hint && document.querySelector("select[data-filter]");
  const looks = new Map();
  table.rows().nodes().toArray().forEach(({ dataset }) => {
    if (!looks.has(dataset.series)) looks.set(dataset.series, look(looks.size));
  });
  let chart = null;
  const draw = () => {
    const rows = table.rows({ search: "applied" }).nodes().toArray();
    const visible = (!taskFilter || taskFilter.value !== "") && rows.length > 0;
    figure.hidden = !visible;
    if (hint) hint.hidden = visible;
    if (!visible) return;
    const datasets = [...pointsOf(table, cost.value)].map(([label, data]) => ({ label, data, ...looks.get(label) }));
    const options = chartOptions(rows[0].dataset.metric, cost.value);
    chart ??= new Chart(figure.querySelector("canvas"), { type: "scatter", data: { datasets }, options });
    chart.data.datasets = datasets;
    chart.options = options;
    chart.update();
  };
  table.on("draw", draw);
  document.addEventListener("themechange", draw);
  cost.addEventListener("change", draw);
  draw();
}

/** Put search and filters into the address, so that a view can be sent to someone. */
function remember(table, filters) {
  const state = new URLSearchParams();
  if (table.search()) state.set("search", table.search());
  for (const filter of filters) {
    if (filter.value) state.set(filter.dataset.filter, filter.value);
  }
  const text = state.toString();
  history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
}

/** Join the choices above a table with its columns. */
function setUpFilters(table) {
  const filters = [...document.querySelectorAll("select[data-filter]")];
  const column = (filter) => {
    const key = filter.dataset.filter;
    return table.column(/^\d+$/.test(key) ? Number(key) : `${key}:name`);
  };
  const apply = (filter) => column(filter).search(filter.value, { exact: filter.value !== "" });
  const state = new URLSearchParams(location.hash.slice(1));
  for (const filter of filters) {
    filter.value = state.get(filter.dataset.filter) ?? "";
    if (filter.selectedIndex < 0) filter.value = "";
    if (filter.value) apply(filter);
    filter.addEventListener("change", () => apply(filter).draw());
  }
  if (state.get("search")) table.search(state.get("search"));
  table.draw();
  addEventListener("hashchange", () => location.reload());
  table.on("draw", () => remember(table, filters));
  document.getElementById("reset").addEventListener("click", () => {
    for (const filter of filters) {
      filter.value = "";
      apply(filter);
    }
    table.search("").order([]).draw();
  });
}

/** Make a table searchable and sortable. */
function setUpTable(element) {
  const table = new DataTable(element, {
    responsive: true,
    pageLength: 25,
    lengthMenu: [25, 50, 100, { label: "all", value: -1 }],
    layout: { topStart: "search", topEnd: "pageLength", bottomStart: "info", bottomEnd: "paging" },
    language: { search: "Search", lengthMenu: "_MENU_ a page", info: "_START_ to _END_ of _TOTAL_ models" },
  });
  setUpFilters(table);
  setUpPlot(table);
}

/** Copy a text; a page without the right to the clipboard goes by way of a selection. */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    if (!copied) throw new Error("this browser does not let a page copy");
  }
}

function setUpCopying() {
  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", async () => {
      const text = button.parentElement.querySelector("code").textContent;
      button.textContent = await copyText(text).then(() => "Copied", () => "Select and copy");
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
  }
}

function setUpTheme() {
  document.getElementById("theme").addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    document.documentElement.classList.toggle("dark", theme === "dark");
    document.dispatchEvent(new Event("themechange"));
    try {
      localStorage.setItem("theme", theme);
    } catch {
      // a browser may forbid storage to local files
    }
  });
}

setUpTheme();
setUpCopying();
document.querySelectorAll("table.models").forEach(setUpTable);
performance.mark("interactive");
