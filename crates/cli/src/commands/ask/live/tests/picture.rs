//! A screen as a picture: SVG with the colors of a terminal, a text element for each run of cells that look alike.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

/// Of a cell, in the units of the picture.
const WIDTH: f32 = 8.4;
const HEIGHT: u16 = 18;
const PADDING: u16 = 12;
const BACKGROUND: &str = "#1b1d23";
const FOREGROUND: &str = "#d7dae0";

/// Draws it.
pub(super) fn svg(buffer: &Buffer) -> String {
    let (columns, rows) = (buffer.area.width, buffer.area.height);
    let width = f32::from(columns) * WIDTH + f32::from(2 * PADDING);
    let height = rows * HEIGHT + 2 * PADDING;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height}\" font-size=\"14\" \
         font-family=\"ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" fill=\"{FOREGROUND}\">\n\
         <title>netflow live</title>\n<rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{BACKGROUND}\"/>\n"
    );
    for (row, cells) in (0_u16..).zip(buffer.content().chunks(usize::from(columns))) {
        let mut column = 0;
        for run in cells.chunk_by(|one, other| style(one) == style(other)) {
            write_run(&mut svg, run, column, row);
            column += run.len();
        }
    }
    svg + "</svg>\n"
}

type Looks = (Color, bool, bool, bool);

fn style(cell: &Cell) -> Looks {
    let has = |modifier| cell.modifier.contains(modifier);
    (cell.fg, has(Modifier::BOLD), has(Modifier::REVERSED), has(Modifier::UNDERLINED))
}

fn write_run(svg: &mut String, run: &[Cell], column: usize, row: u16) {
    let Some(first) = run.first() else { return };
    let (color, bold, reversed, underlined) = style(first);
    let text: String = run.iter().map(Cell::symbol).collect();
    let (x, y) = (column as f32 * WIDTH + f32::from(PADDING), PADDING + row * HEIGHT);
    let width = run.len() as f32 * WIDTH;
    if reversed {
        writeln!(svg, "<rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{HEIGHT}\" fill=\"{FOREGROUND}\"/>")
            .unwrap();
    }
    if text.trim().is_empty() {
        return;
    }
    let color = if reversed { BACKGROUND } else { hexadecimal(color) };
    let fill = if color == FOREGROUND { String::new() } else { format!(" fill=\"{color}\"") };
    let weight = if bold { " font-weight=\"bold\"" } else { "" };
    let line = if underlined { " text-decoration=\"underline\"" } else { "" };
    // As wide as its cells, whatever font there is.
    let (shown, baseline) = (text.trim_end(), y + 13);
    let length = shown.chars().count() as f32 * WIDTH;
    let shown = shown.replace('&', "&amp;").replace('<', "&lt;");
    let place = format!("x=\"{x:.1}\" y=\"{baseline}\" textLength=\"{length:.1}\" xml:space=\"preserve\"");
    writeln!(svg, "<text {place}{fill}{weight}{line}>{shown}</text>").unwrap();
}

fn hexadecimal(color: Color) -> &'static str {
    match color {
        Color::Red => "#f0716b",
        Color::Green => "#7ec97e",
        Color::Yellow => "#e5c07b",
        Color::Cyan => "#56b6c2",
        Color::DarkGray => "#8b909c",
        _ => FOREGROUND,
    }
}
