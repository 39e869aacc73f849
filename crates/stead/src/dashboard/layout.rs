//! Where things go in a window of any size.

use ratatui::layout::Rect;

/// Columns from which the preview stands beside the list instead of below it.
const BESIDE: u16 = 100;

/// The smallest window in which a list makes sense.
pub const SMALLEST: (u16, u16) = (20, 5);

/// The parts of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Panes {
    /// One line that counts the sessions.
    pub header: Rect,
    /// The list.
    pub list: Rect,
    /// The preview with its border, where there is room for one.
    pub preview: Option<Rect>,
    /// Whether the preview stands beside the list.
    pub beside: bool,
    /// One line for keys, questions and notices.
    pub footer: Rect,
}

/// Divides the window for a list of `rows` lines; `None` if it is too small for one.
pub fn panes(window: Rect, rows: usize, preview: bool) -> Option<Panes> {
    let Rect { x, y, width, height } = window;
    if width < SMALLEST.0 || height < SMALLEST.1 {
        return None;
    }
    let body = Rect { y: y + 1, height: height - 2, ..window };
    let header = Rect { height: 1, ..window };
    let footer = Rect { y: y + height - 1, height: 1, ..window };
    let mut panes = Panes { header, list: body, preview: None, beside: false, footer };
    if !preview {
        return Some(panes);
    }
    if width >= BESIDE {
        // The list gets what a session of 80 columns leaves it, within reason.
        let list = (width - 81).clamp((width * 2 / 5).min(44), 72);
        panes.list.width = list;
        panes.preview = Some(Rect { x: x + list, width: width - list, ..body });
        panes.beside = true;
    } else if body.height >= 9 {
        let wanted = u16::try_from(rows).unwrap_or(u16::MAX).max(2);
        let list = wanted.min((body.height * 2 / 5).max(3));
        panes.list.height = list;
        panes.preview = Some(Rect { y: body.y + list, height: body.height - list, ..body });
    }
    Some(panes)
}

impl Panes {
    /// The part of the preview that shows the session's screen: without the border.
    pub fn screen(&self) -> Option<Rect> {
        let Rect { x, y, width, height } = self.preview?;
        let left = u16::from(self.beside);
        Some(Rect { x: x + left, y: y + 1, width: width - left, height: height - 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window(width: u16, height: u16) -> Rect {
        Rect { x: 0, y: 0, width, height }
    }

    #[test]
    fn the_preview_stands_beside_in_wide_windows_and_below_in_narrow_ones() {
        let wide = panes(window(120, 40), 5, true).unwrap();
        assert_eq!((wide.list.width, wide.screen().unwrap().width), (44, 75));
        assert!(wide.beside);
        let wider = panes(window(160, 40), 5, true).unwrap();
        assert!(wider.screen().unwrap().width >= 80, "a whole session of 80 columns");
        let narrow = panes(window(80, 24), 5, true).unwrap();
        assert_eq!((narrow.list.height, narrow.screen().unwrap().height), (5, 16));
        assert_eq!(panes(window(80, 24), 500, true).unwrap().list.height, 8);
        assert_eq!(panes(window(80, 10), 5, true).unwrap().preview, None);
        assert_eq!(panes(window(120, 40), 5, false).unwrap().list.width, 120);
        assert_eq!(panes(window(19, 40), 5, true), None);
    }

    proptest! {
        #[test]
        fn parts_lie_within_the_window(width in 0u16..300, height in 0u16..100, rows in 0usize..50, preview: bool) {
            let window = window(width, height);
            if let Some(panes) = panes(window, rows, preview) {
                for part in [Some(panes.header), Some(panes.list), Some(panes.footer), panes.preview, panes.screen()] {
                    let part = part.unwrap_or(window);
                    prop_assert_eq!(part.intersection(window), part);
                }
                prop_assert!(panes.list.height > 0 && panes.list.width > 0);
            }
        }
    }
}
