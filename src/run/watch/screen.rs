//! The screen: a line for each request, all about the chosen one, and what the keys do.

use super::queue::Queue;
use crate::output::{count, escaped, time, user};
use crate::run::pending;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Wrap};
use std::time::Duration;
use ward_mountd::control::message::PendingRequest;

/// At least so many lines are for the chosen request.
const DETAILS: u16 = 14;

pub(super) fn draw(frame: &mut Frame<'_>, queue: &Queue, now: Duration) {
    let requests: Vec<_> = queue.requests(now).collect();
    let lines = u16::try_from(requests.len()).unwrap_or(u16::MAX).saturating_add(1);
    let area = frame.area();
    let room = area.height.saturating_sub(DETAILS).max(4);
    let parts = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(lines.min(room)),
        Constraint::Min(3),
        Constraint::Length(2),
    ]);
    let [title, list, details, keys] = parts.areas(area);
    draw_title(frame, title, queue, requests.len());
    draw_list(frame, list, &requests);
    let chosen = requests.iter().find(|(_, is_chosen)| *is_chosen);
    let text = match chosen {
        Some((request, _)) => pending::show(request, &queue.program),
        None => {
            let missed = pending::missed(&queue.missed);
            format!("Requests show up here as they are made.\n{missed}")
        }
    };
    draw_details(frame, details, text);
    draw_keys(frame, keys, queue);
}

fn draw_title(frame: &mut Frame<'_>, area: Rect, queue: &Queue, number: usize) {
    let number = u64::try_from(number).unwrap_or(u64::MAX);
    let waiting = match number {
        0 => "no request waits".to_owned(),
        1 => "1 request waits".to_owned(),
        number => format!("{} wait", count(number, "request")),
    };
    let missed = match queue.missed.len() {
        0 => String::new(),
        number => format!("  {number} missed"),
    };
    let title = format!(" wardfs  {waiting}{missed}  {}", escaped(&queue.root));
    let style = Style::new().add_modifier(Modifier::REVERSED);
    frame.render_widget(
        Paragraph::new(format!("{title:<width$}", width = usize::from(area.width))).style(style),
        area,
    );
}

fn draw_list(frame: &mut Frame<'_>, area: Rect, requests: &[(PendingRequest, bool)]) {
    // The chosen one is always among those that there is room for.
    let height = usize::from(area.height).max(1);
    let chosen = requests.iter().position(|(_, is_chosen)| *is_chosen).unwrap_or(0);
    let first = chosen.saturating_sub(height.saturating_sub(1));
    let lines = requests.iter().skip(first).take(height);
    let lines: Vec<Line<'_>> =
        lines.map(|(request, is_chosen)| line(request, *is_chosen)).collect();
    frame.render_widget(Paragraph::new(lines), area);
}

fn line(request: &PendingRequest, is_chosen: bool) -> Line<'static> {
    let mark = if is_chosen { ">" } else { " " };
    let secret = format!("{}:{}", escaped(&request.vault), escaped(&request.path));
    let program = request.asker.program.as_deref().unwrap_or("unknown");
    let program = program.rsplit('/').next().unwrap_or(program);
    let waits = if request.is_held { "waits now" } else { "" };
    let text = format!(
        "{mark} {:>7}  {secret:<30} {} by {} {waits}",
        time(request.expires_in),
        escaped(program),
        user(request.asker.uid)
    );
    let style = if is_chosen { Style::new().add_modifier(Modifier::BOLD) } else { Style::new() };
    Line::from(Span::styled(text, style))
}

fn draw_details(frame: &mut Frame<'_>, area: Rect, text: String) {
    let frame_of_details = Block::new().borders(Borders::TOP);
    let details = Paragraph::new(text).wrap(Wrap { trim: false }).block(frame_of_details);
    frame.render_widget(details, area);
}

fn draw_keys(frame: &mut Frame<'_>, area: Rect, queue: &Queue) {
    let (keys, help) = match (&queue.reason, &queue.passphrase) {
        (Some(reason), _) => {
            (format!("reason for the no: {}_", escaped(reason)), "Enter deny   Esc back")
        }
        (None, Some(_)) => ("approval passphrase: _".to_owned(), "Enter approve   Esc back"),
        (None, None) => {
            (escaped(&queue.said).to_string(), "a approve   d deny   up/down choose   q quit")
        }
    };
    let style = Style::new().add_modifier(Modifier::REVERSED);
    let help = Span::styled(format!(" {help} "), style);
    frame.render_widget(Paragraph::new(vec![Line::from(keys), Line::from(help)]), area);
}

#[cfg(test)]
mod tests {
    use super::super::queue::tests::queue;
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn shown(queue: &Queue, (width, height): (u16, u16)) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, queue, Duration::from_secs(39))).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..height).map(|y| row(y).trim_end().to_owned()).collect()
    }

    #[test]
    fn the_screen_has_every_request_with_its_countdown_and_all_about_the_chosen_one() {
        let lines = shown(&queue(&["a", "b"]), (80, 24));
        assert_eq!(lines[0], " wardfs  2 requests wait  /root");
        assert_eq!(
            lines[1],
            ">   1m 1s  default:db/a                   cat by uid 4000000000 waits now"
        );
        assert!(lines[2].starts_with("    1m 1s  default:db/b"));
        assert!(lines.iter().any(|line| line == "secret   default:db/a"));
        assert!(lines.iter().any(|line| line.contains(r"| nightly\u{1b}[2J backup |")));
        assert_eq!(lines[23], " a approve   d deny   up/down choose   q quit");
    }

    #[test]
    fn an_empty_queue_says_so_and_a_tiny_screen_shows_what_fits() {
        let lines = shown(&queue(&[]), (40, 10));
        assert_eq!(lines[0], " wardfs  no request waits  /root");
        for size in [(1, 1), (10, 3), (20, 6)] {
            shown(&queue(&["a", "b", "c"]), size);
        }
    }

    #[test]
    fn the_chosen_one_of_many_is_on_the_screen() {
        let ids: Vec<String> = (0..50).map(|number| format!("r{number}")).collect();
        let mut queue = queue(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        for _ in 0..49 {
            let down = ratatui::crossterm::event::KeyCode::Down.into();
            assert_eq!(queue.press(down, Duration::ZERO), None);
        }
        assert!(
            shown(&queue, (80, 24))
                .iter()
                .any(|line| line.starts_with(">") && line.contains("r49"))
        );
    }
}
