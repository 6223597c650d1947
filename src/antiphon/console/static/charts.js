// Draws every plot of a page from the JSON beside it, in the page's colours; again when these change.
const config = { displayModeBar: false, responsive: true, doubleClick: false, showTips: false };
const style = () => getComputedStyle(document.documentElement);
const token = (name) => style().getPropertyValue(`--${name}`).trim();

// A name has one colour in all plots of a page.
const known = new Map([["all others", 8]]);
function colour(name) {
  if (!known.has(name)) known.set(name, (known.size - 1) % 8);
  return token(`series-${known.get(name) + 1}`);
}

// Plotly reads tags in texts: what somebody called a project is none.
const plain = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

const axis = (title, more = {}) => ({
  title: { text: plain(title), standoff: 8 }, fixedrange: true, automargin: true, gridcolor: token("line"),
  zerolinecolor: token("line"), linecolor: token("line"), ...more,
});

function layout(chart, more) {
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
    legend: { orientation: "h", y: -0.2, yanchor: "top", x: 0 },
    hoverlabel: { bgcolor: token("raised"), bordercolor: token("line"), font: { color: token("ink") } },
    ...more,
  };
}

const kinds = {
  bars(chart) {
    const traces = chart.series.map((series) => ({
      type: "bar", name: plain(series.name), x: series.x, y: series.y, customdata: series.told,
      marker: { color: colour(series.name) },
      hovertemplate: `%{x|%Y-%m-%d %H:%M}<br>%{customdata}<extra>${plain(series.name)}</extra>`.replace(
        chart.series[0].x[0]?.includes(":") ? "" : " %H:%M", ""),
    }));
    const yaxis = axis(chart.y_title, { tickprefix: chart.prefix, rangemode: "tozero" });
    return [traces, layout(chart, {
      barmode: "stack", bargap: 0.25, yaxis, xaxis: axis("", { type: "date" }), showlegend: traces.length > 1,
    })];
  },

  lines(chart) {
    const traces = chart.series.map((series, number) => ({
      type: "scatter", mode: series.beside.length ? "lines+markers+text" : "lines", name: plain(series.name),
      x: series.x, y: series.y, customdata: series.told, text: series.beside,
      textposition: "top center", cliponaxis: false,
      line: { color: colour(series.name), width: 2.5, dash: number % 2 ? "dash" : "solid" },
      marker: { size: 8, symbol: number % 2 ? "diamond" : "circle" },
      hovertemplate: `%{customdata}<extra>${plain(series.name)}</extra>`,
    }));
    const yaxis = axis(chart.y_title, { tickprefix: chart.prefix, rangemode: "tozero" });
    const legend = { orientation: "h", y: -0.32, yanchor: "top", x: 0 };
    const xaxis = axis(chart.x_title, { rangemode: "tozero" });
    return [traces, layout(chart, { yaxis, xaxis, legend, showlegend: true })];
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
    return [traces, layout(chart, {
      barmode: "overlay", yaxis, height, legend, xaxis: axis("", { type: "date" }), showlegend: true,
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
