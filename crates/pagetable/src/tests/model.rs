use super::*;
use crate::radix::{
    Change, LARGE_PAGE, ROOT_STEP, RadixError, Sizes, map, page_at, plant, process_entry, set,
};
use ram::{END, Ram, low_bits, small, translate};
use std::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

/// Where the steps below have their pages: at both ends of all addresses, and where two tables of the second level
/// and of the first meet.
const PLACES: [u64; 4] = [
    0,
    (1 << 30) - LARGE_PAGE,
    ROOT_STEP - LARGE_PAGE,
    END - PLACE_PAGES * PAGE,
];
const PLACE_PAGES: u64 = 3 * LARGE_PAGE / PAGE;

#[derive(Clone, Debug)]
enum Step {
    Map {
        range: (u64, u64),
        rights: Option<Rights>,
        sizes: Sizes,
    },
    Set {
        address: u64,
        rights: Option<Rights>,
    },
}

fn any_address() -> impl Strategy<Value = u64> {
    let page = prop_oneof![
        0..PLACE_PAGES,
        // More often where large pages start and end.
        (0..3u64, 0..3u64).prop_map(|(large, page)| (512 * large + page).saturating_sub(1)),
    ];
    (prop::sample::select(&PLACES[..]), page).prop_map(|(place, page)| place + page * PAGE)
}

fn any_step() -> impl Strategy<Value = Step> {
    let rights = || prop::option::weighted(0.8, any_rights());
    let pages = prop_oneof![0..8u64, 504..520u64, 1020..1030u64];
    let sizes = prop::sample::select(&[Sizes::Small, Sizes::Any][..]);
    prop_oneof![
        (any_address(), pages, rights(), sizes).prop_map(|(start, pages, rights, sizes)| {
            let end = END.min(start + pages * PAGE);
            Step::Map {
                range: (start, end),
                rights,
                sizes,
            }
        }),
        (any_address(), rights()).prop_map(|(address, rights)| Step::Set { address, rights }),
    ]
}

/// The model: the pages, and which pieces of the size of a large page have a table of small ones.
#[derive(Default)]
struct Model {
    pages: BTreeMap<u64, Page>,
    tables: BTreeSet<u64>,
}

impl Model {
    fn large(&self, address: u64) -> bool {
        let page = self.pages.get(&(address / LARGE_PAGE * LARGE_PAGE));
        page.is_some_and(|page| page.size == LARGE_PAGE)
    }

    fn put(&mut self, address: u64, size: u64, rights: Option<Rights>) {
        if let Some(rights) = rights {
            let page = Page {
                size,
                ..small(address, rights)
            };
            self.pages.insert(address, page);
        } else {
            self.pages.remove(&address);
        }
    }

    fn map(
        &mut self,
        (start, end): (u64, u64),
        rights: Option<Rights>,
        sizes: Sizes,
    ) -> Result<(), RadixError> {
        let mut address = start;
        while address < end {
            let piece = address / LARGE_PAGE * LARGE_PAGE;
            let fits = sizes == Sizes::Any && piece == address && piece + LARGE_PAGE <= end;
            if self.large(address) || (fits && self.tables.contains(&piece)) {
                return Err(RadixError::Occupied { address });
            }
            if !fits {
                self.tables.insert(piece);
            }
            let size = if fits { LARGE_PAGE } else { PAGE };
            self.put(address, size, rights);
            address += size;
        }
        Ok(())
    }

    fn set(&mut self, address: u64, rights: Option<Rights>) -> Result<Change, RadixError> {
        if self.large(address) {
            return Err(RadixError::Occupied { address });
        }
        if !self.tables.contains(&(address / LARGE_PAGE * LARGE_PAGE)) {
            return Err(RadixError::NoTable { address });
        }
        let was_there = self.pages.contains_key(&address);
        self.put(address, PAGE, rights);
        Ok(if was_there {
            Change::Less
        } else {
            Change::More
        })
    }

    fn page_at(&self, address: u64) -> Option<Page> {
        let (_, &page) = self.pages.range(..=address).next_back()?;
        (address - page.address < page.size).then_some(page)
    }
}

fn rights_of(page: Page) -> Rights {
    let all = [Rights::Code, Rights::Constants, Rights::Data];
    let found = all
        .into_iter()
        .find(|&rights| Access::from(rights) == page.access);
    found.expect("a page allows what some rights do")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_tree_has_the_pages_that_a_map_of_pages_has(steps in prop::collection::vec(any_step(), 1..12)) {
        let ram = Ram::new(32);
        let root = plant(&ram).unwrap();
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Map { range, rights, sizes } => {
                    let mapped = map(&ram, root, range, rights, sizes);
                    prop_assert_eq!(mapped, model.map(range, rights, sizes));
                }
                Step::Set { address, rights } => {
                    let before = ram.contents();
                    let change = set(&ram, root, address, rights);
                    prop_assert_eq!(change, model.set(address, rights));
                    prop_assert!(change.is_ok() || ram.contents() == before);
                }
            }
            let pages: Vec<_> = model.pages.values().copied().collect();
            prop_assert_eq!(ram.pages(root), pages);
        }
        let process_entry = process_entry(root);
        let around = PLACES.iter().flat_map(|&place| {
            let start = place.saturating_sub(PAGE);
            (start..=place + PLACE_PAGES * PAGE).step_by(PAGE as usize)
        });
        for address in around.flat_map(|page| [page, page + PAGE - 1]) {
            let wanted = model.page_at(address);
            prop_assert_eq!(page_at(&ram, root, address), wanted);
            let translated = wanted.map(|page| (address, low_bits(rights_of(page))));
            prop_assert_eq!(translate(&ram, process_entry, address), translated);
        }
    }
}
