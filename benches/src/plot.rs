//! The plot of a run: CPU time per forwarded packet over the number of subscribers, a panel per load, a line per
//! forwarder. Plain SVG, readable on light and dark ground.

use crate::report::Line;
use std::fmt::Write;

/// Size of one panel's drawing area, and the room around it.
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 62.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 42.0;
/// Room of a legend's line.
const LEGEND: f64 = 18.0;
/// Colours that are told apart by most eyes (Okabe and Ito), floors in grey.
const COLOURS: [&str; 6] = ["#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// Writes the plot of these lines.
pub fn svg(lines: &[Line], machine: &str) -> String {
    let loads = distinct(lines.iter().map(|l| l.load.as_str()));
    let whos = distinct(lines.iter().map(|l| l.who.as_str()));
    let subscribers = lines.iter().map(|l| l.subscribers as f64);
    let most = subscribers.fold(2.0, f64::max);
    let costs = || lines.iter().map(|l| l.ns_per_packet as f64);
    let (least_ns, most_ns) = (costs().fold(f64::MAX, f64::min) * 0.8, costs().fold(1.0, f64::max) * 1.2);
    let width = loads.len() as f64 * (WIDTH + LEFT) + 20.0;
    let height = TOP + HEIGHT + BOTTOM + LEGEND * whos.len().div_ceil(4) as f64 + 10.0;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"12\" y=\"18\" font-size=\"13\">CPU time per forwarded packet \
         over subscribers · {}</text>",
        escape(machine)
    );
    for (n, load) in loads.iter().enumerate() {
        let scale = Scale { left: LEFT + n as f64 * (WIDTH + LEFT), most, least_ns, most_ns };
        panel(&mut out, &scale, load);
        for (at, who) in whos.iter().enumerate() {
            let mut points: Vec<(usize, u64)> = lines
                .iter()
                .filter(|l| l.load == *load && l.who == *who)
                .map(|l| (l.subscribers, l.ns_per_packet))
                .collect();
            points.sort_unstable();
            curve(&mut out, &scale, &points, style(who, at));
        }
    }
    for (at, who) in whos.iter().enumerate() {
        let (x, y) = (LEFT + (at % 4) as f64 * 190.0, TOP + HEIGHT + BOTTOM + 6.0 + LEGEND * (at / 4) as f64);
        let (colour, dash) = style(who, at);
        let _ = writeln!(
            out,
            "<path d=\"M{x} {y}h26\" stroke=\"{colour}\" stroke-width=\"2.5\"{dash}/><text x=\"{}\" y=\"{}\">{}</text>",
            x + 32.0,
            y + 4.0,
            escape(who)
        );
    }
    out.push_str("</svg>\n");
    out
}

struct Scale {
    left: f64,
    most: f64,
    least_ns: f64,
    most_ns: f64,
}

impl Scale {
    /// Both axes are logarithmic.
    fn at(&self, subscribers: f64, ns: f64) -> (f64, f64) {
        let x = self.left + WIDTH * subscribers.ln() / self.most.ln();
        let y = TOP + HEIGHT * (1.0 - (ns / self.least_ns).ln() / (self.most_ns / self.least_ns).ln());
        (x, y)
    }
}

fn panel(out: &mut String, scale: &Scale, load: &str) {
    let left = scale.left;
    let _ = writeln!(
        out,
        "<text x=\"{left}\" y=\"{}\" font-weight=\"bold\">{}</text><path d=\"M{left} {TOP}v{HEIGHT}h{WIDTH}\" fill=\"none\" stroke=\"#444\"/>",
        TOP - 10.0,
        escape(load)
    );
    for subscribers in [1.0, 10.0, 50.0, 100.0, 200.0] {
        if subscribers <= scale.most {
            let (x, _) = scale.at(subscribers, scale.least_ns);
            let _ = writeln!(
                out,
                "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{subscribers}</text>",
                TOP + HEIGHT + 16.0
            );
        }
    }
    for ns in [500.0, 1000.0, 2000.0, 5000.0, 10_000.0, 20_000.0, 50_000.0, 100_000.0, 200_000.0] {
        if (scale.least_ns..scale.most_ns).contains(&ns) {
            let (_, y) = scale.at(1.0, ns);
            let _ = writeln!(
                out,
                "<path d=\"M{left} {y:.1}h{WIDTH}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{} µs</text>",
                left - 6.0,
                y + 4.0,
                ns / 1000.0
            );
        }
    }
}

fn curve(out: &mut String, scale: &Scale, points: &[(usize, u64)], (colour, dash): (&str, &str)) {
    let place = |&(subscribers, ns): &(usize, u64)| scale.at(subscribers as f64, ns as f64);
    let path: Vec<String> = points.iter().map(place).map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    let _ = writeln!(
        out,
        "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.5\"{dash}/>",
        path.join(" L")
    );
    for (x, y) in points.iter().map(place) {
        let _ = writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
    }
}

fn style(who: &str, at: usize) -> (&'static str, &'static str) {
    match who {
        "strongroom" => (COLOURS[0], ""),
        "floor_gso" => ("#555", " stroke-dasharray=\"6 3\""),
        "floor_sendmmsg" => ("#999", " stroke-dasharray=\"2 3\""),
        _ => (COLOURS[1 + at % (COLOURS.len() - 1)], ""),
    }
}

fn distinct<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut out: Vec<&str> = Vec::new();
    for one in all {
        if !out.contains(&one) {
            out.push(one);
        }
    }
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
