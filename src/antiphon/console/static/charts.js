// Draws every plot of a page from the JSON beside it, in the page's colours; again when these change.
const config = { displayModeBar: false, responsive: true, doubleClick: false, showTips: false };
const style = () => getComputedStyle(document.documentElement);
const token = (name) => style().getPropertyValue(`--${name}`).trim();

// A name keeps its look in every plot: one of eight colours, hatched where these are used up; what is left over
// is grey.
const COLOURS = 8;
const HATCHES = ["", "/", "\\", "x", "."];
const colour = (look) => token(`series-${look < 0 ? COLOURS + 1 : (look % COLOURS) + 1}`);
const hatch = (look) => (look < 0 ? "" : HATCHES[Math.floor(look / COLOURS) % HATCHES.length]);

// Days are named as days, as many as there is room for, the last among them; hours as the library does.
const DAY = 86_400_000;
const named = (days) => ({
  tickformat: days.length > 92 ? "%-d %b %Y" : "%-d %b", tick0: days.at(-1),
  dtick: DAY * Math.ceil(days.length / (window.innerWidth < 600 ? 4 : 7)),
});

// Plotly reads tags in texts: what somebody called a project is none.
const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

const axis = (title, more = {}) => ({
  title: { text: plain(title), standoff: 8 }, fixedrange: true, automargin: true, gridcolor: token("line"),
  zerolinecolor: token("line"), linecolor: token("line"), ...more,
});

// Digits, since nobody reads $800µ as money.
const amounts = (chart) => ({
  tickprefix: chart.prefix, rangemode: "tozero", ...(chart.prefix && { exponentformat: "none" }),
});

function layout(chart, traces, more) {
  const shapes = chart.marks.map((mark) => ({
    type: "line", x0: mark.x, x1: mark.x, yref: "paper", y0: 0, y1: 1,
    line: { color: token("muted"), width: 1.5, dash: "dot" },
  }));
  const annotations = chart.marks.map((mark, number) => ({
    x: mark.x, yref: "paper", y: 1, yanchor: "bottom", yshift: 14 * number, showarrow: false, text: plain(mark.label),
    font: { color: token("muted"), size: 12 },
  }));
  return {
    paper_bgcolor: "transparent", plot_bgcolor: "transparent", shapes, annotations, dragmode: false,
    font: { family: style().fontFamily, size: 13, color: token("ink") },
    margin: { t: 10 + 16 * chart.marks.length, r: 10, b: 40, l: 50 },
    legend: { orientation: "h", y: -0.2, yanchor: "top", x: 0 }, showlegend: traces.length > 1,
    hoverlabel: { bgcolor: token("raised"), bordercolor: token("line"), font: { color: token("ink") } },
    ...more,
  };
}

const kinds = {
  bars(chart) {
    const places = chart.series[0].x, days = !places[0].includes(":");
    const traces = chart.series.map((series) => ({
      type: "bar", name: plain(series.name), x: series.x, y: series.y, customdata: series.told,
      marker: { color: colour(series.look), pattern: { shape: hatch(series.look) } },
      hovertemplate: `%{x|%Y-%m-%d${days ? "" : " %H:%M"}}<br>%{customdata}<extra>${plain(series.name)}</extra>`,
    }));
    const yaxis = axis(chart.y_title, amounts(chart));
    return [traces, layout(chart, traces, {
      barmode: "stack", bargap: 0.25, yaxis, xaxis: axis("", { type: "date", ...(days && named(places)) }),
    })];
  },

  lines(chart) {
    const traces = chart.series.map((series) => ({
      type: "scatter", mode: series.beside.length ? "lines+markers+text" : "lines", name: plain(series.name),
      x: series.x, y: series.y, customdata: series.told, text: series.beside,
      textposition: "top center", cliponaxis: false,
      line: { color: colour(series.look), width: 2.5, dash: series.look % 2 ? "dash" : "solid" },
      marker: { size: 8, symbol: series.look % 2 ? "diamond" : "circle" },
      hovertemplate: `%{customdata}<extra>${plain(series.name)}</extra>`,
    }));
    const yaxis = axis(chart.y_title, amounts(chart));
    const legend = { orientation: "h", y: -0.32, yanchor: "top", x: 0 };
    const xaxis = axis(chart.x_title, { rangemode: "tozero" });
    return [traces, layout(chart, traces, { yaxis, xaxis, legend })];
  },

  spans(chart) {
    const looks = {
      reserved: { color: token("line"), width: 0.7 }, away: { color: token("series-2"), width: 0.7 },
      ready: { color: token("series-3"), width: 0.4 },
    };
    const found = Object.keys(looks).filter((kind) => chart.spans.some((span) => span.kind === kind));
    const traces = found.map((kind) => {
      const spans = chart.spans.filter((span) => span.kind === kind);
      return {
        type: "bar", orientation: "h", name: kind, y: spans.map((span) => plain(span.row)),
        base: spans.map((span) => span.begin * 1000), x: spans.map((span) => (span.end - span.begin) * 1000),
        customdata: spans.map((span) => plain(span.told)), width: looks[kind].width,
        marker: { color: looks[kind].color }, hovertemplate: "%{customdata}<extra></extra>",
      };
    });
    const yaxis = axis("", { autorange: "reversed", type: "category" });
    const height = 130 + 34 * new Set(chart.spans.map((span) => span.row)).size;
    const legend = { orientation: "h", y: -34 / (height - 100), yanchor: "top", x: 0 };
    return [traces, layout(chart, traces, {
      barmode: "overlay", yaxis, height, legend, xaxis: axis("", { type: "date" }),
    })];
  },
};

function draw() {
  for (const figure of document.querySelectorAll("figure.chart")) {
    const chart = JSON.parse(figure.querySelector("script").textContent);
    const [traces, look] = kinds[chart.kind](chart);
    window.Plotly.react(figure.querySelector(".plot"), traces, look, config);
  }
}

draw();
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
