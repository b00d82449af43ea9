//! See [`crate::fingerprint`].

use std::fmt::Write;
use std::hash::Hasher;

use super::Worker;
use crate::fingerprint::Hashed;

impl Worker {
    pub(crate) fn fingerprint(&self, hasher: &mut impl Hasher) {
        let Self {
            group: _,
            members: _, // by the committed configuration
            log,
            commit,
            term_start,
            term_start_index,
            handed,
            placed,
            live,
            last_fragment,
            peers,
            window_bytes,
            verified,
            gathered,
            complete,
            stated,
            fetching,
            pull,
            feeding,
            damaged,
            installed,
            stages,
            ..
        } = self;
        log.fingerprint(hasher);
        let mut hashed = Hashed(hasher);
        let written = write!(
            hashed,
            "{commit}{}{}{term_start_index}{handed}{placed}{live:?}{}{}{peers:?}{window_bytes}{verified}",
            term_start.term, term_start.cut, last_fragment.0, last_fragment.1
        )
        .and_then(|()| {
            write!(
                hashed,
                "{gathered}{complete}{stated:?}{fetching:?}{pull:?}{feeding:?}{damaged:?}{}{stages:?}",
                installed.0
            )
        });
        written.expect("a hasher takes everything");
    }
}
