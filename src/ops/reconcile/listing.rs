//! A list of Stripe read whole, several windows of time at once.
//!
//! A list goes from newest to oldest, one page after the other, so that one reader
//! waits for every answer. Here the period is cut into windows with a reader each: a
//! window whose rest is long enough is halved whenever a reader has nothing to do, so
//! that no guess is needed about when the transfers were made. What is handed on is
//! complete to the second: [`Batch::done`] says of which time nothing is missing any
//! more. Memory holds a page or two for each window.

use std::collections::{HashSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::model::time::{Span, Time};
use crate::ops::transfers::{ReadFailed, TransferReader};
use crate::stripe::Transfer;
use crate::stripe::api::{BalanceLines, TransferQuery};
use crate::stripe::object::{BalanceTransaction, Listed, OddEntry, Page};

/// Requests for pages under way at once. At the rate that Stripe allows, more
/// would only wait for it.
pub const READERS: usize = 4;

/// Pages that a window is read for before it is halved: most are shorter, and a half
/// may hold nothing.
const PAGES_BEFORE_HALVING: usize = 4;

/// Nothing at Stripe is older, in seconds: where a period without a beginning is halved.
const STRIPE_BEGAN: i64 = 1_293_840_000;

/// Whole seconds: the first one, and the first one behind. Open where none is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds {
    /// The first second.
    pub from: Option<i64>,
    /// The first second that does not belong to it.
    pub until: Option<i64>,
}

impl Seconds {
    /// The seconds in which something of a period was made. Stripe's moments are whole
    /// seconds, so that a period which begins within one begins with the next.
    pub fn of(period: Span) -> Self {
        let up = |time: Time| time.unix_seconds() + i64::from(time.millis().rem_euclid(1000) > 0);
        Self {
            from: period.from.map(up),
            until: period.until.map(up),
        }
    }

    /// Nothing lies in it.
    pub fn is_empty(self) -> bool {
        matches!((self.from, self.until), (Some(from), Some(until)) if from >= until)
    }

    /// Whether a second lies in it.
    pub fn contains(self, second: i64) -> bool {
        self.from.is_none_or(|from| from <= second) && self.until.is_none_or(|until| second < until)
    }

    fn times(self) -> (Option<Time>, Option<Time>) {
        let time = |seconds: Option<i64>| seconds.map(Time::from_unix_seconds);
        (time(self.from), time(self.until))
    }
}

/// Entries that go on from where the last batch of their window ended.
#[derive(Debug)]
pub struct Batch<T> {
    /// Newest first; each once.
    pub entries: Vec<T>,
    /// What the list holds that cannot be read.
    pub odd: Vec<OddEntry>,
    /// Of these seconds, all was handed on by now. None while the second that a page
    /// ended in goes on.
    pub done: Option<Seconds>,
}

type PageRead<T> = Result<Page<T>, ReadFailed>;
type Asked<T> = Pin<Box<dyn Future<Output = PageRead<T>> + Send>>;
type Ask<T> = Arc<dyn Fn(Seconds, Option<String>) -> Asked<T> + Send + Sync>;

/// A list being read.
pub struct Listing<T> {
    ask: Ask<T>,
    waiting: VecDeque<Window<T>>,
    asked: JoinSet<(Window<T>, PageRead<T>)>,
}

/// What one reader has before it.
struct Window<T> {
    /// As it is asked for. The cursor of a page belongs to it.
    asked: Seconds,
    /// What is not handed on yet: the same, less what was.
    rest: Seconds,
    /// Pages read.
    pages: usize,
    /// The last entry seen.
    after: Option<String>,
    /// Entries of the second in which the last page ended: it may go on on the next.
    held: Vec<T>,
    /// Entries of the last page and those held: what moves between two pages comes twice.
    known: HashSet<String>,
}

impl Listing<Transfer> {
    /// The transfers made in these windows.
    pub(in crate::ops) fn transfers(reader: &TransferReader, windows: Vec<Seconds>) -> Self {
        let reader = reader.clone();
        Self::new(windows, move |window, after| {
            let reader = reader.clone();
            Box::pin(async move {
                let (created_from, created_before) = window.times();
                let query = TransferQuery {
                    created_from,
                    created_before,
                    ..TransferQuery::default()
                };
                reader.page(&query, after.as_deref()).await
            })
        })
    }
}

impl Listing<BalanceTransaction> {
    /// The lines of the balance made in these windows.
    pub(in crate::ops) fn balance(
        reader: &TransferReader,
        lines: BalanceLines,
        windows: Vec<Seconds>,
    ) -> Self {
        let reader = reader.clone();
        Self::new(windows, move |window, after| {
            let reader = reader.clone();
            Box::pin(async move {
                reader
                    .balance_page(lines, window.times(), after.as_deref())
                    .await
            })
        })
    }
}

impl<T: Listed> Listing<T> {
    fn new(
        windows: Vec<Seconds>,
        ask: impl Fn(Seconds, Option<String>) -> Asked<T> + Send + Sync + 'static,
    ) -> Self {
        Self {
            ask: Arc::new(ask),
            waiting: windows
                .into_iter()
                .filter(|window| !window.is_empty())
                .map(Window::new)
                .collect(),
            asked: JoinSet::new(),
        }
    }

    /// The next batch; none when the list was read whole.
    ///
    /// # Errors
    /// A page that could not be read, however often it was asked for.
    pub async fn next(&mut self) -> Result<Option<Batch<T>>, ReadFailed> {
        self.ask_for_more();
        let Some(answered) = self.asked.join_next().await else {
            return Ok(None);
        };
        let (window, page) = match answered {
            Ok(answered) => answered,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // Nobody cancels a request but whoever drops the whole list; it would not be read whole.
            Err(_) => return Err(ReadFailed::given_up()),
        };
        let (batch, rest) = window.take_in(page?);
        self.waiting.extend(rest);
        self.ask_for_more();
        Ok(Some(batch))
    }

    /// Keeps every reader busy.
    fn ask_for_more(&mut self) {
        while self.asked.len() + self.waiting.len() < READERS {
            let Some(older) = self.waiting.iter_mut().find_map(Window::halve) else {
                break;
            };
            self.waiting.push_back(older);
        }
        while self.asked.len() < READERS
            && let Some(window) = self.waiting.pop_front()
        {
            let asking = (self.ask)(window.asked, window.after.clone());
            self.asked.spawn(async move { (window, asking.await) });
        }
    }
}

impl<T: Listed> Window<T> {
    fn new(seconds: Seconds) -> Self {
        Self {
            asked: seconds,
            rest: seconds,
            pages: 0,
            after: None,
            held: Vec::new(),
            known: HashSet::new(),
        }
    }

    /// What a page completes, and what is left to read.
    fn take_in(mut self, page: Page<T>) -> (Batch<T>, Option<Self>) {
        let upper = self.rest.until;
        let lowest = page.entries.iter().map(second_of).min();
        let seen: HashSet<String> = page.entries.iter().map(|e| e.id().to_owned()).collect();
        let known = std::mem::replace(&mut self.known, seen);
        let mut entries = std::mem::take(&mut self.held);
        let fresh = |entry: &T| !known.contains(entry.id());
        entries.extend(page.entries.into_iter().filter(fresh));
        let whole = !page.has_more;
        let until = match lowest {
            _ if whole => self.rest.from,
            // A page of nothing but odd entries: nothing is known of where it ended.
            None => upper,
            Some(lowest) => Some(upper.map_or(lowest + 1, |upper| upper.min(lowest + 1))),
        };
        // Behind the window, when it was halved since its page was asked for: another's.
        let from = self.rest.from.unwrap_or(i64::MIN);
        entries.retain(|entry| second_of(entry) >= from);
        let mut done = Seconds {
            from: until,
            until: upper,
        };
        if whole || until.is_some_and(|until| until <= from) {
            done.from = self.rest.from;
            let batch = Batch {
                entries,
                odd: page.odd,
                done: Some(done),
            };
            return (batch, None);
        }
        if let Some(until) = until {
            let goes_on = |entry: &mut T| second_of(entry) < until;
            self.held = entries.extract_if(.., goes_on).collect();
        }
        self.known
            .extend(self.held.iter().map(|e| e.id().to_owned()));
        self.rest.until = until;
        self.pages += 1;
        self.after = page.last_id;
        let batch = Batch {
            entries,
            odd: page.odd,
            done: (until != upper).then_some(done),
        };
        (batch, Some(self))
    }

    /// Gives the older half away, where there is one and the window is long.
    fn halve(&mut self) -> Option<Self> {
        let long = self.pages >= PAGES_BEFORE_HALVING;
        let until = self.rest.until.filter(|_| long)?;
        let from = self.rest.from.unwrap_or(STRIPE_BEGAN);
        // The second that the last page ended in stays here.
        if until - from < 3 {
            return None;
        }
        let half = from + (until - from) / 2;
        let older = Self::new(Seconds {
            from: self.rest.from,
            until: Some(half),
        });
        self.rest.from = Some(half);
        self.pages = 0;
        Some(older)
    }
}

fn second_of<T: Listed>(entry: &T) -> i64 {
    entry.created().unix_seconds()
}

/// Joins what was done to what else was: in order, and nothing twice.
pub(in crate::ops) fn join(done: &mut Vec<Seconds>, new: Seconds) {
    let start = |seconds: &Seconds| seconds.from.unwrap_or(i64::MIN);
    let end = |seconds: &Seconds| seconds.until.unwrap_or(i64::MAX);
    done.push(new);
    done.sort_by_key(start);
    let mut joined: Vec<Seconds> = Vec::with_capacity(done.len());
    for next in done.drain(..).filter(|seconds| !seconds.is_empty()) {
        match joined.last_mut() {
            Some(last) if end(last) >= start(&next) => {
                if end(&next) > end(last) {
                    last.until = next.until;
                }
            }
            _ => joined.push(next),
        }
    }
    *done = joined;
}

/// What of a period is still to be read, when so much of it was.
pub(in crate::ops) fn left(period: Seconds, done: &[Seconds]) -> Vec<Seconds> {
    let mut windows = Vec::new();
    let mut from = period.from;
    for part in done {
        let gap = Seconds {
            from,
            until: part.from,
        };
        // A part without a beginning leaves nothing before it.
        if part.from.is_some() && !gap.is_empty() {
            windows.push(gap);
        }
        match part.until {
            Some(until) => from = Some(from.map_or(until, |from| from.max(until))),
            None => return windows,
        }
    }
    let rest = Seconds {
        from,
        until: period.until,
    };
    if !rest.is_empty() {
        windows.push(rest);
    }
    // Newest first, as lists are.
    windows.reverse();
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use proptest::prelude::*;

    /// An entry that is nothing but its id and its second.
    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Entry(String, i64);

    impl Listed for Entry {
        const NAME: &'static str = "entry";

        fn read(_: &[u8]) -> Result<Self, crate::stripe::object::Unreadable> {
            unreachable!("nothing is read from bytes here")
        }

        fn id(&self) -> &str {
            &self.0
        }

        fn created(&self) -> Time {
            Time::from_unix_seconds(self.1)
        }
    }

    /// A list as Stripe serves it, in pages of so many; `twice` repeats the last entry of a
    /// page on the next one.
    fn served(seconds: &[i64], per_page: usize, twice: bool) -> Listing<Entry> {
        let mut seconds = seconds.to_vec();
        seconds.sort_unstable_by(|a, b| b.cmp(a));
        let all: Vec<Entry> = seconds
            .iter()
            .enumerate()
            .map(|(n, second)| Entry(format!("e{n}"), *second))
            .collect();
        let all = Arc::new(all);
        Listing::new(vec![WINDOW], move |window, after| {
            let all = Arc::clone(&all);
            Box::pin(async move {
                // So that answers come in another order than they were asked for.
                tokio::task::yield_now().await;
                let at = |id: &str| all.iter().position(|entry| entry.0 == id).unwrap_or(0);
                let behind = after.map_or(0, |id| at(&id) + usize::from(!twice || per_page < 2));
                let rest: Vec<&Entry> = all
                    .iter()
                    .skip(behind)
                    .filter(|entry| window.contains(entry.1))
                    .collect();
                Ok(Page {
                    entries: rest
                        .iter()
                        .take(per_page)
                        .map(|entry| (*entry).clone())
                        .collect(),
                    odd: Vec::new(),
                    has_more: rest.len() > per_page,
                    last_id: rest
                        .iter()
                        .take(per_page)
                        .next_back()
                        .map(|entry| entry.0.clone()),
                })
            })
        })
    }

    const WINDOW: Seconds = Seconds {
        from: Some(0),
        until: Some(1000),
    };

    fn read_whole<T>(
        seconds: &[i64],
        per_page: usize,
        twice: bool,
        each: impl FnMut(Batch<Entry>) -> T,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let each = Mutex::new(each);
        runtime.expect("a runtime").block_on(async {
            let mut listing = served(seconds, per_page, twice);
            while let Some(batch) = listing.next().await.expect("a page") {
                each.lock().expect("one reader")(batch);
            }
        });
    }

    proptest! {
        /// Every entry comes once, whatever the pages and windows; when seconds are said to
        /// be done, all of theirs has come; at the end all seconds are.
        #[test]
        fn nothing_is_left_out_and_nothing_comes_twice(
            seconds in prop::collection::vec(prop_oneof![0..1000_i64, 400..404_i64], 0..300),
            per_page in 1_usize..9,
            twice in any::<bool>(),
        ) {
            let mut came: Vec<Entry> = Vec::new();
            let mut done: Vec<Seconds> = Vec::new();
            let mut early = Vec::new();
            read_whole(&seconds, per_page, twice, |batch| {
                came.extend(batch.entries);
                if let Some(part) = batch.done {
                    join(&mut done, part);
                    let of = |second: &&i64| part.contains(**second);
                    let (want, have) = (seconds.iter().filter(of).count(), came.iter().filter(|e| part.contains(e.1)).count());
                    if want != have {
                        early.push((part, want, have));
                    }
                }
            });
            prop_assert_eq!(early, vec![]);
            let ids: BTreeSet<&str> = came.iter().map(|entry| entry.0.as_str()).collect();
            prop_assert_eq!((ids.len(), came.len()), (seconds.len(), seconds.len()));
            prop_assert_eq!(done, vec![WINDOW]);
        }

        /// What is left and what is done are the whole, wherever the reading was cut off.
        #[test]
        fn going_on_reads_exactly_the_rest(
            seconds in prop::collection::vec(0..1000_i64, 0..300),
            cut in 0_usize..40,
        ) {
            let mut done: Vec<Seconds> = Vec::new();
            let mut batches = 0;
            read_whole(&seconds, 5, false, |batch| {
                batches += 1;
                if let (Some(part), true) = (batch.done, batches <= cut) {
                    join(&mut done, part);
                }
            });
            let rest = left(WINDOW, &done);
            for second in WINDOW.from.unwrap_or(0)..WINDOW.until.unwrap_or(0) {
                let times = done.iter().chain(&rest).filter(|part| part.contains(second)).count();
                prop_assert_eq!(times, 1, "second {}", second);
            }
        }
    }

    #[test]
    fn a_long_list_is_read_by_all_readers() {
        let seconds: Vec<i64> = (0..1000).collect();
        let mut parts = BTreeSet::new();
        read_whole(&seconds, 5, false, |batch| {
            parts.extend(
                batch
                    .done
                    .and_then(|part| part.until)
                    .map(|until| until / 250),
            );
        });
        assert_eq!(parts.len(), READERS + 1, "{parts:?}");
    }

    #[test]
    fn a_period_that_begins_within_a_second_begins_with_the_next() {
        let period = Span {
            from: Some(Time::from_millis(1500)),
            until: Some(Time::from_millis(9000)),
        };
        let seconds = Seconds {
            from: Some(2),
            until: Some(9),
        };
        assert_eq!(Seconds::of(period), seconds);
    }
}
