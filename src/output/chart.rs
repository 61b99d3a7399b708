//! Bars: as characters on a terminal, as SVG in a page. All in integers.
//!
//! A chart is never the only place where a number stands: on a terminal it stands beside its
//! bar, in a page in a table below.

use std::fmt::Write as _;

use crate::output::html::escape;
use crate::output::table::{self, Tone, Value};
use crate::output::ui::Ui;

/// One bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// What it is about. What came from outside is cleaned or escaped here.
    pub label: String,
    /// The same in a few characters, to stand below the bar in a page.
    pub short: String,
    /// How long it is: parts that stand on one another. Negative ones have no length.
    pub parts: Vec<i64>,
    /// What it says, for people.
    pub text: String,
}

impl Bar {
    /// A bar in one piece.
    pub fn of(label: impl Into<String>, value: i64, text: impl Into<String>) -> Self {
        let label = label.into();
        Self {
            short: label.clone(),
            label,
            parts: vec![value],
            text: text.into(),
        }
    }

    fn height(&self) -> i64 {
        let parts = self.parts.iter().map(|part| part.max(&0));
        parts.fold(0, |sum, part| sum.saturating_add(*part))
    }
}

/// The tallest of some bars.
fn tallest(bars: &[Bar]) -> i64 {
    bars.iter().map(Bar::height).max().unwrap_or(0)
}

/// `value` of `max` on a scale of so many steps, rounded down; what is not nothing has a step.
fn scaled(value: i64, max: i64, steps: i64) -> i64 {
    if value <= 0 || max <= 0 {
        return 0;
    }
    let on_scale = i128::from(value) * i128::from(steps) / i128::from(max);
    i64::try_from(on_scale).unwrap_or(steps).clamp(1, steps)
}

// --- on a terminal -------------------------------------------------------------------------

/// Characters in a line where nobody says how many there are.
const PIPE_WIDTH: usize = 80;

/// Characters of a bar at least, and of a label at most.
const BAR_MIN: usize = 10;
const LABEL_MAX: usize = 28;

/// Eighths of a character, from one to seven.
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// Lines of a label, a number and a bar, under a heading for each of the first two.
pub fn lines(ui: &Ui, headings: [&str; 2], bars: &[Bar], tone: Tone) -> String {
    let width = ui.width.map_or(PIPE_WIDTH, usize::from);
    let widest = |heading: &str, text: &dyn Fn(&Bar) -> usize| {
        let texts = bars.iter().map(text).max().unwrap_or(0);
        texts.max(heading.chars().count())
    };
    let label = widest(headings[0], &|bar| bar.label.chars().count()).min(LABEL_MAX);
    let number = widest(headings[1], &|bar| bar.text.chars().count());
    let taken = label + number + 2 * usize::from(table::GAP);
    let columns = width.saturating_sub(taken).max(BAR_MIN);
    let max = tallest(bars);
    let rows = bars.iter().map(|bar| {
        vec![
            crate::output::text::brief(&bar.label, LABEL_MAX).into(),
            bar.text.as_str().into(),
            Value::toned(blocks(bar.height(), max, columns), tone),
        ]
    });
    table::render(
        ui,
        &[
            table::left(headings[0].to_owned()).shrinks_to(8),
            table::right(headings[1].to_owned()),
            table::left(""),
        ],
        rows.collect(),
    )
}

/// A bar of block characters.
fn blocks(value: i64, max: i64, columns: usize) -> String {
    let steps = i64::try_from(columns).unwrap_or(0).saturating_mul(8);
    let eighths = usize::try_from(scaled(value, max, steps)).unwrap_or(0);
    let mut bar = "█".repeat(eighths / 8);
    if let Some(rest) = (eighths % 8).checked_sub(1) {
        bar.push(EIGHTHS[rest]);
    }
    bar
}

// --- in a page -----------------------------------------------------------------------------

/// A chart in a page.
#[expect(missing_debug_implementations, reason = "it borrows a function")]
pub struct Plot<'a> {
    /// Unique in the page: letters and hyphens.
    pub id: &'a str,
    /// What it shows.
    pub title: &'a str,
    /// The same in a sentence, for who cannot see it.
    pub description: String,
    /// From left to right.
    pub bars: &'a [Bar],
    /// How a number on the scale is written.
    pub scale: &'a dyn Fn(i64) -> String,
}

/// Units of the drawing, a hundredth of what the page takes for a pixel.
const WIDTH: i64 = 72_000;
const HEIGHT: i64 = 22_000;
const LEFT: i64 = 7_000;
const TOP: i64 = 1_000;
const BOTTOM: i64 = 2_600;

/// Labels below the bars at most.
const LABELS_MAX: usize = 8;

/// The chart as an SVG element. Its colours are the page's: `.part0`, `.part1`, `.grid`.
pub fn svg(plot: &Plot<'_>) -> String {
    let Plot {
        id,
        title,
        description,
        ..
    } = plot;
    let mut svg = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\">\n\
         <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-desc\">{}</desc>\n",
        escape(title),
        escape(description)
    );
    // A second part is hatched, so that it is another without its colour.
    let _ = writeln!(
        svg,
        "<defs><pattern id=\"{id}-hatch\" width=\"400\" height=\"400\" patternUnits=\"userSpaceOnUse\" \
         patternTransform=\"rotate(45)\"><rect class=\"hatch-ground\" width=\"400\" height=\"400\"/>\
         <rect class=\"hatch-line\" width=\"180\" height=\"400\"/></pattern></defs>"
    );
    let (top, ticks) = ticks_of(tallest(plot.bars));
    let room = HEIGHT - TOP - BOTTOM;
    let base = HEIGHT - BOTTOM;
    for tick in ticks {
        let y = base - scaled(tick, top, room);
        let _ = writeln!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y}\" y2=\"{y}\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            LEFT - 500,
            y + 400,
            escape(&(plot.scale)(tick))
        );
    }
    let count = i64::try_from(plot.bars.len()).unwrap_or(i64::MAX).max(1);
    let edge = |number: i64| LEFT + (WIDTH - LEFT) * number / count;
    let every = plot.bars.len().div_ceil(LABELS_MAX).max(1);
    for (place, (number, bar)) in (0_i64..).zip(plot.bars.iter().enumerate()) {
        let (left, right) = (edge(place), edge(place + 1));
        let gap = ((right - left) / 5).min(1_200);
        let width = (right - left - gap).max(1);
        let _ = write!(
            svg,
            "<g><title>{}: {}</title>",
            escape(&bar.label),
            escape(&bar.text)
        );
        let mut y = base;
        for (part, value) in bar.parts.iter().enumerate() {
            let height = scaled(*value, top, room);
            y -= height;
            if height > 0 {
                let fill = match part {
                    0 => String::new(),
                    _ => format!(" fill=\"url(#{id}-hatch)\""),
                };
                let _ = write!(
                    svg,
                    "<rect class=\"part{part}\" x=\"{}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"{fill}/>",
                    left + gap / 2,
                );
            }
        }
        svg.push_str("</g>\n");
        if number % every == 0 {
            let x = i64::midpoint(left, right);
            let _ = writeln!(
                svg,
                "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                HEIGHT - 900,
                escape(&bar.short)
            );
        }
    }
    svg.push_str("</svg>");
    svg
}

/// Where a scale ends that such a bar fits under, and its round numbers, 0 the first.
fn ticks_of(tallest: i64) -> (i64, Vec<i64>) {
    /// Steps of a scale, about.
    const STEPS: i64 = 4;
    let wanted = (tallest / STEPS).max(1);
    let mut step = 1_i64;
    'found: loop {
        for factor in [1, 2, 5] {
            let Some(round) = step.checked_mul(factor) else {
                step = wanted;
                break 'found;
            };
            if round >= wanted {
                step = round;
                break 'found;
            }
        }
        match step.checked_mul(10) {
            Some(more) => step = more,
            None => break,
        }
    }
    let steps = tallest.max(1).div_euclid(step) + i64::from(tallest.max(1) % step != 0);
    let ticks: Vec<i64> = (0..=steps)
        .map(|number| number.saturating_mul(step))
        .collect();
    (ticks.last().copied().unwrap_or(step), ticks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bar_has_eighths_of_a_character_and_is_seen_where_it_is_not_nothing() {
        assert_eq!(blocks(0, 100, 10), "");
        assert_eq!(blocks(-5, 100, 10), "");
        assert_eq!(blocks(1, 1_000_000, 10), "▏");
        assert_eq!(blocks(50, 100, 10), "█████");
        assert_eq!(blocks(55, 100, 10), "█████▌");
        assert_eq!(blocks(100, 100, 10), "██████████");
        assert_eq!(blocks(0, 0, 10), "");
    }

    #[test]
    fn a_scale_has_round_numbers() {
        assert_eq!(ticks_of(0), (1, vec![0, 1]));
        assert_eq!(ticks_of(3), (3, vec![0, 1, 2, 3]));
        assert_eq!(ticks_of(100), (100, vec![0, 50, 100]));
        assert_eq!(
            ticks_of(733_100),
            (800_000, vec![0, 200_000, 400_000, 600_000, 800_000])
        );
    }

    proptest! {
        #[test]
        fn no_number_breaks_a_chart(
            values in prop::collection::vec(prop::collection::vec(any::<i64>(), 0..3), 0..40),
            label in any::<String>(),
        ) {
            let bars: Vec<Bar> = values
                .into_iter()
                .map(|parts| Bar { label: label.clone(), short: label.clone(), parts, text: label.clone() })
                .collect();
            let (top, ticks) = ticks_of(tallest(&bars));
            prop_assert!(top >= tallest(&bars) && ticks.len() <= 9, "{} {:?}", top, ticks);
            let svg = svg(&Plot {
                id: "x",
                title: &label,
                description: label.clone(),
                bars: &bars,
                scale: &|value| value.to_string(),
            });
            prop_assert!(svg.ends_with("</svg>"));
            for bar in &bars {
                prop_assert!(blocks(bar.height(), tallest(&bars), 20).chars().count() <= 20);
            }
        }
    }
}
