/* SPDX-License-Identifier: MIT */
/* The files that a command writes. */
#include "cli/outputs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/options.h"

/* Of pipes, terminals and the like one may have several on the same: there is nothing to be lost. */
static bool keeps_bytes(const struct stat *status)
{
    return S_ISREG(status->st_mode) || S_ISBLK(status->st_mode);
}

static bool same_file(const struct stat *status, dev_t device, ino_t number)
{
    return status->st_dev == device && status->st_ino == number;
}

bool outputs_input(struct outputs *outputs, const char *what, const char *path)
{
    struct stat status;

    if ((strcmp(path, "-") == 0 ? fstat(STDIN_FILENO, &status) : stat(path, &status)) != 0 || !keeps_bytes(&status))
        return true;
    if (outputs->inputs == outputs->inputs_capacity) {
        size_t capacity = outputs->inputs_capacity ? 2 * outputs->inputs_capacity : 16;
        struct input *grown = realloc(outputs->input, capacity * sizeof *grown);
        if (!grown) {
            complain("the host has no memory left");
            return false;
        }
        outputs->input = grown;
        outputs->inputs_capacity = capacity;
    }
    outputs->input[outputs->inputs++] = (struct input){ what, status.st_dev, status.st_ino };
    return true;
}

void outputs_add(struct outputs *outputs, const char *option, const char *path, FILE **to)
{
    if (path)
        outputs->output[outputs->outputs++] = (struct output){ .option = option, .path = path, .to = to };
}

void outputs_add_trace(struct outputs *outputs, const char *option, const char *path, uint64_t limit, FILE **to)
{
    if (!path)
        return;
    outputs_add(outputs, option, path, to);
    outputs->output[outputs->outputs - 1].is_trace = true;
    outputs->output[outputs->outputs - 1].limit = limit;
}

/* The stream that a name stands for: it is shared, not opened again, for a second opening would empty the file beneath it. */
static FILE *standard_stream(const char *path)
{
    static const struct { const char *name; bool error; } table[] = {
        { "-", false }, { "/dev/stdout", false }, { "/dev/fd/1", false }, { "/proc/self/fd/1", false },
        { "/dev/stderr", true }, { "/dev/fd/2", true }, { "/proc/self/fd/2", true },
    };

    for (unsigned i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(path, table[i].name) == 0)
            return table[i].error ? stderr : stdout;
    return NULL;
}

static const struct input *input_like(const struct outputs *outputs, const struct stat *status)
{
    for (size_t i = 0; i < outputs->inputs; i++)
        if (same_file(status, outputs->input[i].device, outputs->input[i].number))
            return &outputs->input[i];
    return NULL;
}

/* Is this file, which exists, one that must not be written?  `until`: the outputs before this one count. */
static bool check(const struct outputs *outputs, const char *option, const char *path, const struct stat *status, unsigned until)
{
    static const char *const standard[] = { "standard input", "standard output", "standard error" };
    const struct input *input = keeps_bytes(status) ? input_like(outputs, status) : NULL;
    struct stat other;

    if (input) {
        complain("%s: %s is %s, which is read: it would be overwritten", option, path, input->what);
        return false;
    }
    for (int i = STDOUT_FILENO; keeps_bytes(status) && i <= STDERR_FILENO; i++)
        if (fstat(i, &other) == 0 && same_file(status, other.st_dev, other.st_ino)) {
            complain("%s: %s is where %s goes: they would overwrite each other", option, path, standard[i]);
            return false;
        }
    for (unsigned i = 0; keeps_bytes(status) && i < until; i++)
        if (outputs->output[i].file && !standard_stream(outputs->output[i].path) &&
            stat(outputs->output[i].path, &other) == 0 && same_file(status, other.st_dev, other.st_ino)) {
            complain("%s: %s is the file of %s, too: they would overwrite each other", option, path, outputs->output[i].option);
            return false;
        }
    return true;
}

bool outputs_allow(const struct outputs *outputs, const char *option, const char *path)
{
    struct stat status;

    return stat(path, &status) != 0 || check(outputs, option, path, &status, outputs->outputs);
}

/* Without O_TRUNC; *created tells whether the file is new. */
static int open_file(const char *path, bool *created)
{
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);

    *created = file >= 0;
    return file >= 0 || errno != EEXIST ? file : open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0666);
}

static bool open_output(struct outputs *outputs, unsigned index)
{
    struct output *output = &outputs->output[index];
    FILE *stream = standard_stream(output->path);
    struct stat status;

    output->file = stream;
    if (!*output->path) {
        complain("%s: the name of a file is missing", output->option);
        return false;
    }
    if (!stream) {
        int file = open_file(output->path, &output->created);
        output->file = file >= 0 ? fdopen(file, "w") : NULL;
        if (!output->file) {
            complain("%s: %s: %s", output->option, output->path, strerror(errno));
            return false;
        }
        if (fstat(file, &status) != 0 || !check(outputs, output->option, output->path, &status, index))
            return false;
    }
    *output->to = output->file;
    if (!output->is_trace)
        return true;
    if (!stream)
        setvbuf(output->file, NULL, _IONBF, 0);         /* the sink has its own buffer, of whole lines */
    else if (stream == stdout)
        setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    *output->to = sink_open(&output->sink, output->file, output->limit, stream != NULL);
    if (!*output->to)
        complain("%s: the host has no memory left", output->option);
    return *output->to != NULL;
}

/* What the shell has opened for us: `sesqui boot IMAGE >>IMAGE`. */
static bool check_stdout(const struct outputs *outputs)
{
    struct stat status;
    const struct input *input = fstat(STDOUT_FILENO, &status) == 0 && keeps_bytes(&status) ? input_like(outputs, &status) : NULL;

    if (input)
        complain("standard output goes to %s, which is read: it would be overwritten", input->what);
    return !input;
}

bool outputs_open(struct outputs *outputs)
{
    bool good = check_stdout(outputs);

    for (unsigned i = 0; good && i < outputs->outputs; i++)
        good = open_output(outputs, i);
    if (!good)
        outputs_close(outputs, false);
    return good;
}

void outputs_begin(struct outputs *outputs)
{
    struct stat status;

    for (unsigned i = 0; i < outputs->outputs; i++) {
        int file = fileno(outputs->output[i].file);
        if (!standard_stream(outputs->output[i].path) && fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_size &&
            ftruncate(file, 0) != 0)
            complain("%s: %s: %s", outputs->output[i].option, outputs->output[i].path, strerror(errno));
    }
}

/* False after a complaint. */
static bool close_one(struct output *output)
{
    const bool shared = standard_stream(output->path) != NULL;
    int error = 0;

    if (output->is_trace && *output->to) {
        fclose(*output->to);
        error = output->sink.error;
    }
    errno = 0;
    if (ferror(output->file))
        error = error ? error : EIO;
    if ((shared ? fflush(output->file) : fclose(output->file)) != 0 && !error)
        error = errno ? errno : EIO;
    if (shared && error)
        clearerr(output->file);             /* said once */
    *output->to = output->file = NULL;
    if (error)
        complain("%s: %s could not be written in full: %s", output->option, output->path, strerror(error));
    else if (output->sink.at_limit)
        complain("%s: %s ends at its limit of %llu bytes (--trace-limit SIZE; 0: none)", output->option, output->path,
                 (unsigned long long)output->limit);
    return !error;
}

bool outputs_close(struct outputs *outputs, bool begun)
{
    bool written = true;

    for (unsigned i = 0; i < outputs->outputs; i++) {
        struct output *output = &outputs->output[i];
        if (output->file)
            written &= close_one(output);
        if (output->created && !begun)
            unlink(output->path);
    }
    free(outputs->input);
    outputs->input = NULL;
    outputs->inputs = outputs->inputs_capacity = 0;
    outputs->outputs = 0;
    return written;
}
