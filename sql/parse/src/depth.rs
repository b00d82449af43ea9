//! How deep a statement may nest, and a stack that is deep enough for it.
//!
//! Everything that walks or drops a tree of depth `d` recursively needs stack in proportion to `d`. [`on_stack`] runs a closure inline
//! for ordinary statements and on a thread with enough stack for deep ones; the memory is only touched as far as the recursion goes.

use crate::keyword::Kw;
use crate::token::{Tok, Token};
use curia_types::{Result, SqlError, SqlState};
use std::cell::Cell;

/// Parentheses, brackets, CASE and prefix operators may nest this deep; beyond it the answer is 54001. PostgreSQL ends between 1,600
/// (subqueries in FROM) and 10,000 (parentheses) with its default `max_stack_depth`.
pub const MAX_DEPTH: u32 = 10_000;

/// A tree may be this high; beyond it 54001. A chain of binary operators other than AND and OR counts with its length, because its typed
/// form nests to the left.
pub const MAX_HEIGHT: usize = 12_000;

/// Queries may nest this deep in each other; beyond it 54001. PostgreSQL ends at about 2,100. What each costs grows with its depth.
pub const MAX_QUERIES: usize = 2_500;

/// How high expressions may be that the catalog keeps (DEFAULT, CHECK): statements get them without having their depth.
pub const MAX_STORED_HEIGHT: usize = 1_000;

/// Levels of the grammar that may be open on the caller's stack beyond those that tokens nest.
pub const INLINE_LEVELS: usize = 96;

/// Height up to which trees are made, and dropped when an error follows, on the caller's stack.
pub const INLINE_HEIGHT: usize = 1_000;

/// Statements that nest no deeper than this run on any caller's stack (which must have 1 MB left).
pub const INLINE_DEPTH: u32 = 24;

/// Stack that parsing, binding, lowering or dropping may use for each level, generous enough for unoptimised builds.
pub const STACK_BYTES_PER_LEVEL: usize = 48 * 1024;

thread_local! {
    static INLINE: Cell<u32> = const { Cell::new(INLINE_DEPTH) };
}

/// Says that this thread's stack is enough for statements of this depth, and for all that stands on it besides.
pub fn holds_depth(depth: u32) {
    INLINE.set(depth);
}

/// The depth of statements that run on the caller's own stack: [`INLINE_DEPTH`] unless its thread said more.
pub fn inline_depth() -> u32 {
    INLINE.get()
}

/// Runs `work` on a stack that suits a tree of the given depth: the caller's own up to [`inline_depth`], a thread's beyond.
pub fn on_stack<T: Send>(depth: u32, work: impl FnOnce() -> T + Send) -> T {
    if depth <= inline_depth() {
        return work();
    }
    let bytes = (depth as usize).saturating_mul(STACK_BYTES_PER_LEVEL).clamp(4 << 20, 1 << 30);
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("curia-deep".into())
            .stack_size(bytes)
            .spawn_scoped(scope, work);
        match thread.map(|t| t.join()) {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            // The closure is gone with the failed spawn; there is no memory for a thread, and nothing to go on with.
            Err(error) => panic!("cannot start a thread for a deep statement: {error}"),
        }
    })
}

/// 54001 as PostgreSQL words it.
pub fn too_deep() -> SqlError {
    SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded").hint(
        "Increase the configuration parameter \"max_stack_depth\" (currently 2048kB), after ensuring the platform's stack depth limit is adequate.",
    )
}

/// Counts how deep tokens nest.
///
/// # Errors
/// 54001 beyond [`MAX_DEPTH`].
pub fn nesting(tokens: &[Token]) -> Result<u32> {
    let (mut open, mut prefix, mut deepest) = (0u32, 0u32, 0u32);
    for token in tokens {
        match token.kind {
            Tok::LParen | Tok::LBracket | Tok::Word(Some(Kw::Case)) => open += 1,
            Tok::RParen | Tok::RBracket | Tok::Word(Some(Kw::End)) => open = open.saturating_sub(1),
            Tok::Semicolon => open = 0,
            _ => {}
        }
        prefix = if matches!(token.kind, Tok::Op | Tok::Word(Some(Kw::Not))) {
            prefix + 1
        } else {
            0
        };
        deepest = deepest.max(open + prefix);
        if deepest > MAX_DEPTH {
            return Err(too_deep());
        }
    }
    Ok(deepest + 1)
}
