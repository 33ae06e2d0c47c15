use super::*;
use dtoolkit::fdt::{Fdt, FdtNode};
use dtoolkit::{Node as _, Property as _};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::string::{String, ToString};
use std::{format, vec, vec::Vec};

/// A tree that is easy to compare.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Tree {
    name: String,
    properties: Vec<(String, Vec<u8>)>,
    children: Vec<Tree>,
}

impl Tree {
    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.begin_node(&self.name)?;
        for (name, value) in &self.properties {
            writer.property(name, value)?;
        }
        for child in &self.children {
            child.write(writer)?;
        }
        writer.end_node()
    }

    fn read(node: &FdtNode<'_>) -> Self {
        Self {
            name: node.name().into(),
            properties: node
                .properties()
                .map(|property| (property.name().into(), property.value().into()))
                .collect(),
            children: node.children().map(|child| Self::read(&child)).collect(),
        }
    }

    fn property_names(&self) -> BTreeSet<&str> {
        let mut names: BTreeSet<_> = self.properties.iter().map(|(name, _)| &**name).collect();
        for child in &self.children {
            names.extend(child.property_names());
        }
        names
    }
}

/// Writes a tree and reservations into slices of the given sizes, which hold
/// rubbish before.
fn blob(tree: &Tree, reservations: &[(u64, u64)], sizes: (usize, usize)) -> Result<Vec<u8>, Error> {
    let (mut structure, mut strings) = (vec![0xa5; sizes.0], vec![0xa5; sizes.1]);
    let mut writer = Writer::new(&mut structure, &mut strings)?;
    for &(start, size) in reservations {
        writer.reserve(start, size)?;
    }
    tree.write(&mut writer)?;
    Ok(writer.finish(7)?.to_vec())
}

/// The 32-bit number at `index * 4`.
fn number(blob: &[u8], index: usize) -> usize {
    u32::from_be_bytes(blob[index * 4..][..4].try_into().unwrap()) as usize
}

/// Runs `write` on a writer with enough space.
fn with_writer<R>(write: impl FnOnce(Writer<'_>) -> R) -> R {
    let (mut structure, mut strings) = ([0xa5; 1024], [0xa5; 256]);
    write(Writer::new(&mut structure, &mut strings).unwrap())
}

#[test]
fn a_small_tree_has_exactly_these_bytes() {
    with_writer(|mut writer| {
        writer.reserve(0x1122_3344_5566_7788, 0x10).unwrap();
        writer.begin_node("").unwrap();
        writer.property("a", b"xyzzy").unwrap();
        writer.begin_node("cpu@0").unwrap();
        writer.property("a", &[]).unwrap();
        writer.end_node().unwrap();
        writer.end_node().unwrap();
        #[rustfmt::skip]
        let expected: &[&[u8]] = &[
            &[0xd0, 0x0d, 0xfe, 0xed],                    // magic
            &[0, 0, 0, 138], &[0, 0, 0, 72],              // whole blob, nodes at
            &[0, 0, 0, 136], &[0, 0, 0, 40],              // strings at, reservations at
            &[0, 0, 0, 17], &[0, 0, 0, 16],               // versions
            &[0, 0, 0, 3],                                // boot CPU
            &[0, 0, 0, 2], &[0, 0, 0, 64],                // bytes of strings, of nodes
            &[0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88], &[0, 0, 0, 0, 0, 0, 0, 0x10],
            &[0; 16],                                     // end of reservations
            &[0, 0, 0, 1], &[0; 4],                       // root
            &[0, 0, 0, 3], &[0, 0, 0, 5], &[0; 4], b"xyzzy\0\0\0",
            &[0, 0, 0, 1], b"cpu@0\0\0\0",
            &[0, 0, 0, 3], &[0, 0, 0, 0], &[0; 4],
            &[0, 0, 0, 2], &[0, 0, 0, 2], &[0, 0, 0, 9],
            b"a\0",
        ];
        assert_eq!(writer.finish(3).unwrap(), expected.concat());
    });
}

#[test]
fn a_value_is_filled_in_place_over_zeros() {
    let value = with_writer(|mut writer| {
        writer.begin_node("").unwrap();
        let filled = writer.property_with("reg", 6, |place| {
            assert_eq!(place, [0; 6]);
            place[4] = 9;
            "done"
        });
        assert_eq!(filled, Ok("done"));
        writer.end_node().unwrap();
        let blob = writer.finish(0).unwrap();
        let root = Fdt::new(blob).unwrap().root();
        root.property("reg").unwrap().value().to_vec()
    });
    assert_eq!(value, [0, 0, 0, 0, 9, 0]);
}

#[test]
fn calls_out_of_order_are_refused_and_change_nothing() {
    with_writer(|mut writer| {
        assert_eq!(writer.end_node(), Err(Error::NoOpenNode));
        assert_eq!(writer.property("a", &[]), Err(Error::NoOpenNode));
        assert_eq!(
            writer.reserve(8, 0),
            Err(Error::EmptyReservation { start: 8 })
        );
        writer.begin_node("").unwrap();
        assert_eq!(writer.reserve(8, 8), Err(Error::LateReservation));
        writer.begin_node("child").unwrap();
        writer.end_node().unwrap();
        assert_eq!(writer.property("a", &[]), Err(Error::LateProperty));
        writer.end_node().unwrap();
        assert_eq!(writer.end_node(), Err(Error::NoOpenNode));
        assert_eq!(writer.property("a", &[]), Err(Error::NoOpenNode));
        assert_eq!(writer.begin_node(""), Err(Error::SecondRoot));
        assert_eq!(writer.reserve(8, 8), Err(Error::LateReservation));
        let blob = writer.finish(0).unwrap();
        assert_eq!(number(blob, 8), 0, "no string was written");
        let tree = Tree::read(&Fdt::new(blob).unwrap().root());
        assert_eq!(tree.children.len(), 1);
    });
}

#[test]
fn a_tree_is_finished_only_when_its_root_is_ended() {
    with_writer(|writer| assert_eq!(writer.finish(0), Err(Error::Unbalanced { open: 0 })));
    with_writer(|mut writer| {
        writer.begin_node("").unwrap();
        writer.begin_node("a").unwrap();
        assert_eq!(writer.finish(0), Err(Error::Unbalanced { open: 2 }));
    });
}

#[test]
fn names_that_would_read_back_as_others_are_refused() {
    let bad = |fault| Err(Error::BadName(fault));
    with_writer(|mut writer| {
        assert_eq!(writer.begin_node("/"), bad(NameError::RootNotEmpty));
        writer.begin_node("").unwrap();
        assert_eq!(writer.begin_node(""), bad(NameError::Empty));
        assert_eq!(writer.begin_node("a/b"), bad(NameError::Slash));
        assert_eq!(writer.begin_node("a\0"), bad(NameError::Nul));
        assert_eq!(writer.property("", &[]), bad(NameError::Empty));
        assert_eq!(writer.property("a\0b", &[]), bad(NameError::Nul));
        assert_eq!(writer.property("a/b", &[]), Ok(()));
        // Beyond the specification's 31 characters, but QEMU's pseries has it.
        let long = "ibm,associativity-reference-points";
        assert_eq!(writer.property(long, &[]), Ok(()));
    });
}

#[test]
fn errors_are_sentences() {
    let mut short = [0; 39];
    let error = Writer::new(&mut short, &mut []).err().unwrap();
    assert_eq!(
        error.to_string(),
        "flattened device tree: the structure block needs at least 40 bytes, 39 available"
    );
    let open = Error::Unbalanced { open: 3 };
    let expected = "flattened device tree: finished with 3 nodes still open";
    assert_eq!(open.to_string(), expected);
}

#[test]
fn a_length_that_no_memory_has_is_no_space() {
    with_writer(|mut writer| {
        writer.begin_node("").unwrap();
        for len in [1000, u32::MAX as usize, u32::MAX as usize + 1, usize::MAX] {
            let result = writer.property_with("a", len, |_| panic!("filled"));
            assert!(matches!(
                result,
                Err(Error::NoSpace {
                    block: Block::Structure,
                    ..
                })
            ));
        }
    });
}

/// Trees with names that are unique within their node, as readers may expect.
fn any_tree() -> impl Strategy<Value = Tree> {
    root_of(vec![]).prop_recursive(4, 24, 4, |inner| {
        prop::collection::vec(inner, 0..5).prop_flat_map(root_of)
    })
}

/// A root with any properties and the given children, which get new names.
fn root_of(mut children: Vec<Tree>) -> impl Strategy<Value = Tree> {
    for (index, child) in children.iter_mut().enumerate() {
        child.name = format!("{}@{index:x}", "node".repeat(1 + index % 3));
    }
    let value = prop::collection::vec(any::<u8>(), 0..12);
    prop::collection::btree_map("[a-z#,-]{1,6}", value, 0..5).prop_map(move |properties| Tree {
        name: String::new(),
        properties: properties.into_iter().collect(),
        children: children.clone(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_tree_reads_back(
        tree in any_tree(),
        reservations in prop::collection::vec((any::<u64>(), 1..u64::MAX), 0..4),
    ) {
        let blob = blob(&tree, &reservations, (1 << 16, 1 << 12)).unwrap();
        let fdt = Fdt::new(&blob).unwrap();
        prop_assert_eq!(Tree::read(&fdt.root()), tree.clone());
        prop_assert_eq!(fdt.boot_cpuid_phys(), 7);
        let found: Vec<_> = fdt.memory_reservations().map(|r| (r.address(), r.size())).collect();
        prop_assert_eq!(found, reservations);

        // Each name stands there once, and none but those.
        let strings = &blob[number(&blob, 3)..];
        let mut written: Vec<_> = strings.split_inclusive(|b| *b == 0).collect();
        written.sort_unstable();
        let count = written.len();
        written.dedup();
        prop_assert_eq!(written.len(), count);
        prop_assert!(count <= tree.property_names().len());
    }

    #[test]
    fn too_small_slices_are_noticed_to_the_byte(tree in any_tree(), cut in 0.0..1.0) {
        let whole = blob(&tree, &[(8, 8)], (1 << 16, 1 << 12)).unwrap();
        let sizes = (whole.len(), number(&whole, 8));
        prop_assert_eq!(blob(&tree, &[(8, 8)], sizes), Ok(whole));
        let shorter = |size: usize| (size as f64 * cut) as usize;
        for (structure, strings) in [(shorter(sizes.0), sizes.1), (sizes.0, shorter(sizes.1))] {
            if (structure, strings) == sizes {
                continue; // there are no strings to be short of
            }
            let error = blob(&tree, &[(8, 8)], (structure, strings)).unwrap_err();
            let Error::NoSpace { block, needed, available } = error else {
                panic!("{error}");
            };
            let (had, would_do) = match block {
                Block::Structure => (structure, sizes.0),
                Block::Strings => (strings, sizes.1),
            };
            prop_assert_eq!(available, had);
            prop_assert!(had < needed && needed <= would_do);
        }
    }
}
