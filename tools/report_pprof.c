/* SPDX-License-Identifier: MIT */
/*
 * A profile for pprof: protocol buffers, compressed by gzip. Inlined functions are lines of one location.
 * Every message lives in a list of pointers, as protobuf-c wants it, and is freed with the list.
 */
#include "report.h"

#include "tools/profile.pb-c.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

typedef Perftools__Profiles__Profile Profile;
typedef Perftools__Profiles__ValueType ValueType;
typedef Perftools__Profiles__Sample Sample;
typedef Perftools__Profiles__Label Label;
typedef Perftools__Profiles__Mapping Mapping;
typedef Perftools__Profiles__Location Location;
typedef Perftools__Profiles__Line Line;
typedef Perftools__Profiles__Function Function;

struct builder {
	const struct report *report;
	VEC(char *) strings;
	struct map string_map;
	VEC(ValueType *) types;
	VEC(Sample *) samples;
	VEC(Mapping *) mappings;
	VEC(Function *) functions;
	struct map function_map;
	VEC(Location *) locations;
	VEC(const struct frame *) location_keys; /* the innermost frame of each */
	struct map location_map;
};

static bool same_string(const void *key, size_t index, const void *arg)
{
	return strcmp(key, ((const struct builder *)arg)->strings.v[index]) == 0;
}

/* The number of a string in the table. */
static int64_t text(struct builder *b, const char *string)
{
	uint64_t hash = hash_bytes(0, string, strlen(string));
	size_t index = map_find(&b->string_map, hash, same_string, string, b);

	if (index != MAP_NONE)
		return (int64_t)index;
	map_add(&b->string_map, hash, b->strings.n);
	*vec_push(&b->strings) = xstrdup(string);
	return (int64_t)b->strings.n - 1;
}

static int64_t cleaned(struct builder *b, const char *string)
{
	char *clean = clean_text(string);
	int64_t number = text(b, clean);

	free(clean);
	return number;
}

static ValueType *value_type(struct builder *b, const char *type, const char *unit)
{
	ValueType *value = xalloc(1, sizeof(*value));

	perftools__profiles__value_type__init(value);
	value->type = text(b, type);
	value->unit = text(b, unit);
	return value;
}

/* The module with this path in any of the processes; the first that has it lends its addresses. */
static struct snap_module *module_of(const struct report *report, const char *path)
{
	size_t i, k;

	for (i = 0; i < report->snaps.n; i++) {
		struct snapshot *snap = report->snaps.v[i];

		for (k = 0; k < snap->modules.n; k++)
			if (strcmp(snap->modules.v[k].path, path) == 0)
				return &snap->modules.v[k];
	}
	return NULL;
}

static Mapping *mapping_of(struct builder *b, struct snap_module *module)
{
	struct object_segment code = { module->start - module->bias, module->end - module->start,
				       0 };
	int64_t path = cleaned(b, module->path);
	Mapping *mapping;
	size_t i;

	for (i = 0; i < b->mappings.n; i++)
		if (b->mappings.v[i]->filename == path)
			return b->mappings.v[i];
	object_code(symbols_object(b->report->symbols, module), &code);
	mapping = *vec_push(&b->mappings) = xalloc(1, sizeof(*mapping));
	perftools__profiles__mapping__init(mapping);
	mapping->id = b->mappings.n;
	mapping->memory_start = module->bias + code.address;
	mapping->memory_limit = mapping->memory_start + code.size;
	mapping->file_offset = code.offset;
	mapping->filename = path;
	mapping->build_id = text(b, module->build_id ? module->build_id : "");
	/* what could be named is named: pprof need not look for the file */
	mapping->has_functions = true;
	return mapping;
}

static bool same_function(const void *key, size_t index, const void *arg)
{
	const Function *a = key, *f = ((const struct builder *)arg)->functions.v[index];

	return a->name == f->name && a->system_name == f->system_name && a->filename == f->filename;
}

static uint64_t function_id(struct builder *b, const struct frame *frame)
{
	Function key = { .name = text(b, frame->function),
			 .system_name = text(b, frame->symbol),
			 .filename = text(b, frame->file ? frame->file : "") };
	uint64_t hash = hash_bytes((uint64_t)key.name << 32 ^ (uint64_t)key.filename,
				   &key.system_name, sizeof(key.system_name));
	size_t index = map_find(&b->function_map, hash, same_function, &key, b);
	Function *f;

	if (index != MAP_NONE)
		return index + 1;
	map_add(&b->function_map, hash, b->functions.n);
	f = *vec_push(&b->functions) = xalloc(1, sizeof(*f));
	perftools__profiles__function__init(f);
	f->id = b->functions.n;
	f->name = key.name;
	f->system_name = key.system_name;
	f->filename = key.filename;
	return f->id;
}

static void add_line(struct builder *b, Location *location, const struct frame *frame)
{
	Line *line = xalloc(1, sizeof(*line));

	perftools__profiles__line__init(line);
	line->function_id = function_id(b, frame);
	line->line = frame->line;
	location->line = xrealloc(location->line, location->n_line + 1, sizeof(*location->line));
	location->line[location->n_line++] = line;
}

static bool same_location(const void *key, size_t index, const void *arg)
{
	return ((const struct builder *)arg)->location_keys.v[index] == key;
}

/* The location of the frames that begin at frames[0]; *used: how many these are. */
static uint64_t location_id(struct builder *b, const struct frame *const *frames, size_t n,
			    size_t *used)
{
	uint64_t hash = hash_bytes(0, &frames[0], sizeof(frames[0]));
	size_t index = map_find(&b->location_map, hash, same_location, frames[0], b), i;
	struct snap_module *module;
	Location *location;
	Mapping *mapping;

	for (*used = 1; *used < n && frames[*used - 1]->inlined; ++*used)
		;
	if (index != MAP_NONE)
		return index + 1;
	map_add(&b->location_map, hash, b->locations.n);
	*vec_push(&b->location_keys) = frames[0];
	location = *vec_push(&b->locations) = xalloc(1, sizeof(*location));
	perftools__profiles__location__init(location);
	location->id = b->locations.n;
	location->address = frames[0]->address;
	for (i = 0; i < *used; i++)
		add_line(b, location, frames[i]);
	module = frames[0]->module ? module_of(b->report, frames[0]->module) : NULL;
	if (module) {
		mapping = mapping_of(b, module);
		location->mapping_id = mapping->id;
		location->address += module->bias;
		mapping->has_filenames |= frames[0]->file != NULL;
		mapping->has_line_numbers |= frames[0]->line != 0;
		mapping->has_inline_frames |= *used > 1;
	}
	return location->id;
}

static void add_label(struct builder *b, Sample *sample, const char *key, const char *value)
{
	Label *label = xalloc(1, sizeof(*label));

	perftools__profiles__label__init(label);
	label->key = text(b, key);
	label->str = text(b, value);
	sample->label = xrealloc(sample->label, sample->n_label + 1, sizeof(*sample->label));
	sample->label[sample->n_label++] = label;
}

static void add_sample(struct builder *b, const struct row *row, bool profile)
{
	const struct trace *trace = row->trace;
	Sample *sample = *vec_push(&b->samples) = xalloc(1, sizeof(*sample));
	size_t at, used;
	char *name;

	perftools__profiles__sample__init(sample);
	sample->location_id = xalloc(trace->n, sizeof(*sample->location_id));
	for (at = 0; at < trace->n; at += used)
		sample->location_id[sample->n_location_id++] =
			location_id(b, trace->frames + at, trace->n - at, &used);
	sample->value = xalloc(4, sizeof(*sample->value));
	if (profile) {
		sample->value[sample->n_value++] = (int64_t)row->total_blocks;
		sample->value[sample->n_value++] = (int64_t)row->total_bytes;
	}
	sample->value[sample->n_value++] = (int64_t)row->blocks;
	sample->value[sample->n_value++] = (int64_t)row->bytes;
	if (!profile)
		add_label(b, sample, "kind", kind_name[row->kind]);
	if (b->report->snaps.n > 1) {
		name = report_process(b->report->snaps.v[row->process]);
		add_label(b, sample, "process", name);
		free(name);
	}
}

static void free_all(struct builder *b)
{
	size_t i, k;

	for (i = 0; i < b->strings.n; i++)
		free(b->strings.v[i]);
	for (i = 0; i < b->types.n; i++)
		free(b->types.v[i]);
	for (i = 0; i < b->samples.n; i++) {
		for (k = 0; k < b->samples.v[i]->n_label; k++)
			free(b->samples.v[i]->label[k]);
		free(b->samples.v[i]->label);
		free(b->samples.v[i]->location_id);
		free(b->samples.v[i]->value);
		free(b->samples.v[i]);
	}
	for (i = 0; i < b->mappings.n; i++)
		free(b->mappings.v[i]);
	for (i = 0; i < b->functions.n; i++)
		free(b->functions.v[i]);
	for (i = 0; i < b->locations.n; i++) {
		for (k = 0; k < b->locations.v[i]->n_line; k++)
			free(b->locations.v[i]->line[k]);
		free(b->locations.v[i]->line);
		free(b->locations.v[i]);
	}
	vec_free(&b->strings);
	vec_free(&b->types);
	vec_free(&b->samples);
	vec_free(&b->mappings);
	vec_free(&b->functions);
	vec_free(&b->locations);
	vec_free(&b->location_keys);
	map_free(&b->string_map);
	map_free(&b->function_map);
	map_free(&b->location_map);
}

static void write_compressed(FILE *out, unsigned char *bytes, size_t size)
{
	z_stream z = { 0 };
	unsigned char *packed;
	size_t room;

	/* 16: with a header of gzip */
	if (size > UINT32_MAX ||
	    deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY)) {
		complain("the profile cannot be compressed");
		return;
	}
	room = deflateBound(&z, size);
	packed = xalloc(room, 1);
	z.next_in = bytes;
	z.avail_in = (uInt)size;
	z.next_out = packed;
	z.avail_out = (uInt)room;
	deflate(&z, Z_FINISH);
	fwrite(packed, 1, room - z.avail_out, out);
	deflateEnd(&z);
	free(packed);
}

void report_pprof(FILE *out, const struct report *report)
{
	const struct snapshot *first = report->snaps.v[0];
	struct builder b = { .report = report };
	Profile profile = PERFTOOLS__PROFILES__PROFILE__INIT;
	bool totals = snapshot_is_profile(first);
	size_t n, i, size;
	const struct row *rows = report_inuse(report, &n);
	unsigned char *bytes;
	int64_t *comment;

	text(&b, ""); /* the format wants it to be the first */
	if (totals) {
		*vec_push(&b.types) = value_type(&b, "alloc_objects", "count");
		*vec_push(&b.types) = value_type(&b, "alloc_space", "bytes");
	}
	*vec_push(&b.types) = value_type(&b, "inuse_objects", "count");
	*vec_push(&b.types) = value_type(&b, "inuse_space", "bytes");
	for (i = 0; i < n; i++)
		add_sample(&b, &rows[i], totals);
	comment = xalloc(report->snaps.n, sizeof(*comment));
	for (i = 0; i < report->snaps.n; i++) {
		char *name = report_process(report->snaps.v[i]);

		comment[i] = text(&b, name);
		free(name);
	}
	profile.comment = comment;
	profile.n_comment = report->snaps.n;
	profile.time_nanos = (int64_t)first->taken_ns;
	profile.duration_nanos = (int64_t)(first->uptime * 1000000);
	profile.period_type = value_type(&b, "space", "bytes");
	profile.period = first->sample_bytes ? (int64_t)first->sample_bytes : 1;
	profile.default_sample_type = text(&b, "inuse_space");
	profile.sample_type = b.types.v;
	profile.n_sample_type = b.types.n;
	profile.sample = b.samples.v;
	profile.n_sample = b.samples.n;
	profile.mapping = b.mappings.v;
	profile.n_mapping = b.mappings.n;
	profile.location = b.locations.v;
	profile.n_location = b.locations.n;
	profile.function = b.functions.v;
	profile.n_function = b.functions.n;
	profile.string_table = b.strings.v;
	profile.n_string_table = b.strings.n;
	size = perftools__profiles__profile__get_packed_size(&profile);
	bytes = xalloc(size, 1);
	perftools__profiles__profile__pack(&profile, bytes);
	write_compressed(out, bytes, size);
	free(bytes);
	free(comment);
	free(profile.period_type);
	free_all(&b);
}
