//! The terminal while the dashboard has it: raw, on the alternate screen.

use crossterm::{event, execute, terminal};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use std::io::{self, BufWriter, Stdout};

/// The terminal that frames are drawn on.
pub type Canvas = Terminal<CrosstermBackend<BufWriter<Stdout>>>;

/// The terminal, given back as it was when dropped.
pub struct Screen {
    /// Where frames are drawn.
    pub canvas: Canvas,
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// If it cannot be set up.
    pub fn take() -> io::Result<Self> {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let _ = leave();
            previous(panic);
        }));
        // A frame is written at once: half of one would flicker over a slow line.
        let out = BufWriter::with_capacity(64 * 1024, io::stdout());
        let canvas = Terminal::new(CrosstermBackend::new(out))?;
        let screen = Screen { canvas };
        enter()?;
        Ok(screen)
    }

    /// Gives the terminal to something else while that runs.
    ///
    /// # Errors
    /// If the terminal cannot be set up again.
    pub fn lend<T>(&mut self, run: impl FnOnce() -> T) -> io::Result<T> {
        leave()?;
        let result = run();
        enter()?;
        self.canvas.clear()?;
        Ok(result)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = leave();
    }
}

fn enter() -> io::Result<()> {
    terminal::enable_raw_mode()?;
    execute!(
        io::stdout(),
        terminal::EnterAlternateScreen,
        event::EnableBracketedPaste,
        crossterm::cursor::Hide
    )
}

fn leave() -> io::Result<()> {
    execute!(
        io::stdout(),
        event::DisableBracketedPaste,
        terminal::LeaveAlternateScreen,
        crossterm::cursor::Show
    )?;
    terminal::disable_raw_mode()
}
