# SPDX-License-Identifier: Apache-2.0
"""Decodes profiles apart from the agent's own code, and checks what the contract says of all."""
import gzip
import os
import pathlib
import string
import sys
import zlib

sys.path.insert(0, os.path.join(os.environ.get("PPROFD_BUILD", "build"), "tests"))
import profile_pb2  # noqa: E402  (made by protoc from proto/profile.proto)

LABEL_KEYS = {"bytes", "pid", "tid", "comm", "thread", "state", "cause", "allocator", "source",
              "lock", "runtime"}
HEAP_TYPES = (("alloc_objects", "count"), ("alloc_space", "bytes"),
              ("inuse_objects", "count"), ("inuse_space", "bytes"))
DELAY = ("delay", "nanoseconds")
# sample types -> the period's type, and the sample types that may be the default
KINDS = {
    HEAP_TYPES: (("space", "bytes"), {"", "alloc_space"}),
    (("goroutine", "count"),): (("goroutine", "count"), {""}),
    (("threads", "count"),): (("threads", "count"), {""}),
    (("threadcreate", "count"),): (("threadcreate", "count"), {""}),
    (("samples", "count"), ("cpu", "nanoseconds")): (("cpu", "nanoseconds"), {""}),
    (("contentions", "count"), DELAY): (("contentions", "count"), {""}),
    (("pauses", "count"), DELAY): (("pauses", "count"), {""}),
}


class Sample:
    """A sample of the message that also knows its profile."""

    def __init__(self, profile, message):
        self.profile = profile
        self.message = message

    def __getattr__(self, name):
        return getattr(self.message, name)


class Profile:
    """The message, with all its fields, and samples that know it."""

    def __init__(self, message):
        self.message = message
        self.sample = [Sample(self, sample) for sample in message.sample]
        self.types = [self.pair(value_type) for value_type in message.sample_type]

    def __getattr__(self, name):
        return getattr(self.message, name)

    def text(self, index):
        assert 0 <= index < len(self.message.string_table), f"no string {index}"
        return self.message.string_table[index]

    def pair(self, value_type):
        return self.text(value_type.type), self.text(value_type.unit)

    def names(self, location):
        """Functions of a location, innermost first; its place where it has none."""
        if location.line:
            return [self.text(self.message.function[line.function_id - 1].name)
                    for line in location.line]
        if location.mapping_id:
            mapping = self.message.mapping[location.mapping_id - 1]
            offset = location.address - mapping.memory_start + mapping.file_offset
            return [f"{pathlib.PurePath(self.text(mapping.filename)).name}+{offset:#x}"]
        return [f"{location.address:#x}"]

    def stack(self, sample):
        """Names of all frames, innermost first."""
        return [name for number in sample.location_id
                for name in self.names(self.message.location[number - 1])]


def load(body):
    """The profile in an answer's body."""
    assert body[:2] == b"\x1f\x8b", f"not gzip: {body[:40]!r}"
    reader = zlib.decompressobj(wbits=31)
    plain = reader.decompress(body)
    assert reader.eof and not reader.unused_data, "the gzip member is cut, or bytes follow it"
    assert plain == gzip.decompress(body)
    message = profile_pb2.Profile()
    assert message.ParseFromString(plain) == len(plain)
    return Profile(message)


def value_index(profile, value_type):
    return [name for name, _ in profile.types].index(value_type)


def stack(sample):
    """Names of a sample's frames, innermost first."""
    return sample.profile.stack(sample)


def by_function(profile, value_type):
    """Sums by the innermost function."""
    index = value_index(profile, value_type)
    sums = {}
    for sample in profile.sample:
        leaf = profile.stack(sample)[0]
        sums[leaf] = sums.get(leaf, 0) + sample.value[index]
    return sums


def cumulative(profile, value_type):
    """Sums by function of all samples in whose stack it is, however often."""
    index = value_index(profile, value_type)
    sums = {}
    for sample in profile.sample:
        for name in set(profile.stack(sample)):
            sums[name] = sums.get(name, 0) + sample.value[index]
    return sums


def comments(profile):
    return [profile.text(index) for index in profile.comment]


def labels(sample):
    """key -> text, or number where it is one."""
    text = sample.profile.text
    return {text(label.key): text(label.str) if label.str else label.num for label in sample.label}


def check_invariants(profile):
    """Asserts what holds of every profile, whatever its kind and target."""
    check_head(profile)
    for table in (profile.mapping, profile.location, profile.function):
        assert [item.id for item in table] == list(range(1, len(table) + 1))
    for mapping in profile.mapping:
        check_mapping(profile, mapping)
    for function in profile.function:
        assert profile.text(function.name), f"function {function.id} has no name"
        profile.text(function.system_name)
        profile.text(function.filename)
    for location in profile.location:
        check_location(profile, location)
    check_flags(profile)
    check_samples(profile)
    check_use(profile)


def check_head(profile):
    assert profile.text(0) == ""
    assert tuple(profile.types) in KINDS, profile.types
    period_type, defaults = KINDS[tuple(profile.types)]
    assert profile.pair(profile.period_type) == period_type
    assert profile.text(profile.default_sample_type) in defaults
    assert profile.drop_frames == 0 and profile.keep_frames == 0
    if period_type[1] == "count":
        assert profile.period == 1
    elif profile.sample:
        assert profile.period > 0
    assert profile.time_nanos > 0
    assert profile.duration_nanos >= 0
    if period_type[0] == "cpu" and profile.sample:
        assert profile.duration_nanos > 0
    for text in comments(profile):
        assert text and not text.startswith("executableInfo="), text
    assert len(set(comments(profile))) == len(profile.comment)


def check_mapping(profile, mapping):
    assert mapping.memory_start < mapping.memory_limit, mapping
    build_id = profile.text(mapping.build_id)
    assert set(build_id) <= set(string.hexdigits.lower()) and len(build_id) % 2 == 0, build_id
    profile.text(mapping.filename)


def check_location(profile, location):
    if location.mapping_id:
        assert location.mapping_id <= len(profile.mapping), location
        mapping = profile.mapping[location.mapping_id - 1]
        assert mapping.memory_start <= location.address < mapping.memory_limit, location
    for line in location.line:
        assert 1 <= line.function_id <= len(profile.function), location
        assert line.line >= 0


def check_flags(profile):
    for location in profile.location:
        if not location.mapping_id:
            continue
        mapping = profile.mapping[location.mapping_id - 1]
        functions = [profile.function[line.function_id - 1] for line in location.line]
        assert functions or not (mapping.has_functions or mapping.has_inline_frames), location
        assert not mapping.has_filenames or \
            functions and all(function.filename for function in functions), location
        assert not mapping.has_line_numbers or \
            functions and all(line.line for line in location.line), location


def check_samples(profile):
    seen = set()
    # Of a stack that is runtime.goexit alone, Go's own profiles have no frame.
    may_be_empty = any(text.startswith("source: go-runtime") for text in comments(profile))
    for sample in profile.sample:
        assert len(sample.value) == len(profile.sample_type)
        assert sample.location_id or may_be_empty
        assert all(1 <= number <= len(profile.location) for number in sample.location_id)
        check_labels(profile, sample)
        check_values(profile, sample)
        identity = tuple(sample.location_id), frozenset(labels(sample).items())
        assert identity not in seen, f"twice: {stack(sample)} {labels(sample)}"
        seen.add(identity)


def check_labels(profile, sample):
    keys = [profile.text(label.key) for label in sample.label]
    assert len(set(keys)) == len(keys), keys
    # Goroutines also carry what the program itself calls them.
    assert set(keys) <= LABEL_KEYS or profile.types == [("goroutine", "count")], keys
    for key, label in zip(keys, sample.label):
        if key == "bytes":
            assert tuple(profile.types) == HEAP_TYPES
            assert label.str == 0 and label.num >= 0
            assert profile.text(label.num_unit) == "bytes"
        else:
            assert label.num == 0 and label.num_unit == 0, key
            profile.text(label.str)


def check_values(profile, sample):
    value = list(sample.value)
    if profile.duration_nanos == 0:  # a snapshot; a difference may be negative
        assert all(number >= 0 for number in value), value
    if tuple(profile.types) == HEAP_TYPES and profile.duration_nanos == 0:
        assert value[2] <= value[0] and value[3] <= value[1], value
    if profile.types[0] == ("samples", "count"):
        assert value[1] == value[0] * profile.period, value


def check_use(profile):
    """Nothing is in a table that no sample leads to, except the main binary."""
    locations = {number for sample in profile.sample for number in sample.location_id}
    assert locations == {location.id for location in profile.location}
    functions = {line.function_id for location in profile.location for line in location.line}
    assert functions == {function.id for function in profile.function}
    mappings = {location.mapping_id for location in profile.location if location.mapping_id}
    assert mappings | {1} == {mapping.id for mapping in profile.mapping} | {1}
