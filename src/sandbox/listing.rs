//! Pages: newest first, with cursors and a window of creation times.
//!
//! Objects stand in the order of their creation, so a page costs what it shows, not what there is.

use std::borrow::Cow;

use serde::Serialize;

use super::clock::seconds;
use super::error::ApiError;
use super::form::Params;

/// What every list takes.
#[derive(Debug)]
pub(super) struct ListQuery {
    limit: usize,
    starting_after: Option<String>,
    ending_before: Option<String>,
    /// Creation times in whole seconds, both ends included.
    created: (i64, i64),
}

impl ListQuery {
    pub(super) fn take(params: &mut Params) -> Result<Self, ApiError> {
        let limit = match params.integer("limit")? {
            None => 10,
            Some(limit) if limit < 1 => {
                return Err(ApiError::integer(
                    "limit",
                    "This value must be greater than or equal to 1.",
                ));
            }
            Some(limit) if limit > 100 => {
                return Err(ApiError::integer(
                    "limit",
                    "This value must be less than or equal to 100.",
                ));
            }
            Some(limit) => usize::try_from(limit).unwrap_or(100),
        };
        let starting_after = params.filled_text("starting_after")?;
        let ending_before = params.filled_text("ending_before")?;
        if starting_after.is_some() && ending_before.is_some() {
            return Err(ApiError::new(
                400,
                "parameters_exclusive",
                "You may only specify one of these parameters: ending_before, starting_after.",
            ));
        }
        Ok(Self {
            limit,
            starting_after,
            ending_before,
            created: window(params)?,
        })
    }

    /// Leaves out what was created before `earliest` (seconds).
    pub(super) fn not_before(&mut self, earliest: i64) {
        self.created.0 = self.created.0.max(earliest);
    }

    /// The page of `among` that this query asks for, as places in the ledger, newest first.
    ///
    /// `place` reads an id, `created_ms` and `visible` look at the object in a place.
    pub(super) fn page(
        &self,
        among: Among<'_>,
        what: &str,
        place: impl Fn(&str) -> Option<usize>,
        created_ms: impl Fn(usize) -> i64,
        visible: impl Fn(usize) -> bool,
    ) -> Result<Page, ApiError> {
        let (from, to) = self.created;
        let mut low = among.first_where(|at| seconds(created_ms(at)) >= from);
        let mut high = among.first_where(|at| seconds(created_ms(at)) > to);
        let cursor =
            |id: &str, param| place(id).ok_or_else(|| ApiError::no_such(400, what, id, param));
        if let Some(id) = &self.starting_after {
            let cursor = cursor(id, "starting_after")?;
            high = high.min(among.first_where(|at| at >= cursor));
        }
        if let Some(id) = &self.ending_before {
            let cursor = cursor(id, "ending_before")?;
            low = low.max(among.first_where(|at| at > cursor));
        }
        let candidates = (low..high)
            .filter_map(|index| among.get(index))
            .filter(|&at| visible(at));
        // One more than fits tells whether there is another page.
        let wanted = self.limit + 1;
        let mut places: Vec<usize> = if self.ending_before.is_some() {
            candidates.take(wanted).collect()
        } else {
            candidates.rev().take(wanted).collect()
        };
        let has_more = places.len() == wanted;
        places.truncate(self.limit);
        if self.ending_before.is_some() {
            places.reverse();
        }
        Ok(Page { places, has_more })
    }
}

/// `created=1`, or any of `created[gt]`, `[gte]`, `[lt]`, `[lte]`.
fn window(params: &mut Params) -> Result<(i64, i64), ApiError> {
    if let Some(exact) = params.integer("created")? {
        return Ok((exact, exact));
    }
    let (mut from, mut to) = (i64::MIN, i64::MAX);
    for (name, apply) in [
        (
            "created[gt]",
            (|from, _, time| *from = time.saturating_add(1)) as fn(&mut i64, &mut i64, i64),
        ),
        ("created[gte]", |from, _, time| *from = time.max(*from)),
        ("created[lt]", |_, to, time| *to = time.saturating_sub(1)),
        ("created[lte]", |_, to, time| *to = time.min(*to)),
    ] {
        if let Some(time) = params.integer(name)? {
            apply(&mut from, &mut to, time);
        }
    }
    Ok((from, to))
}

/// Which places a list chooses from, oldest first.
#[derive(Clone, Copy, Debug)]
pub(super) enum Among<'a> {
    /// All of the first so many.
    All(usize),
    /// Those an index names.
    These(&'a [usize]),
}

impl Among<'_> {
    pub(super) fn len(self) -> usize {
        match self {
            Self::All(count) => count,
            Self::These(places) => places.len(),
        }
    }

    fn get(self, index: usize) -> Option<usize> {
        match self {
            Self::All(count) => (index < count).then_some(index),
            Self::These(places) => places.get(index).copied(),
        }
    }

    /// The first index whose place satisfies `reached`, which must stay true from there on.
    fn first_where(self, reached: impl Fn(usize) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.get(middle).is_some_and(&reached) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
}

/// The places a page shows, newest first.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) places: Vec<usize>,
    pub(super) has_more: bool,
}

/// A list as Stripe writes it.
#[derive(Serialize)]
pub(super) struct ListView<'a, T> {
    object: &'static str,
    data: Vec<T>,
    has_more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_count: Option<usize>,
    url: Cow<'a, str>,
}

impl<'a, T> ListView<'a, T> {
    pub(super) fn new(url: impl Into<Cow<'a, str>>, data: Vec<T>, has_more: bool) -> Self {
        Self {
            object: "list",
            data,
            has_more,
            total_count: None,
            url: url.into(),
        }
    }

    /// As lists inside other objects have it.
    pub(super) fn counted(self, total_count: usize) -> Self {
        Self {
            total_count: Some(total_count),
            ..self
        }
    }
}
