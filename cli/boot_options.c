/* SPDX-License-Identifier: MIT */
/* The command line of `sesqui boot`. */
#include <stdio.h>
#include <string.h>

#include "cli/boot.h"
#include "cli/options.h"
#include "emu/device/date.h"
#include "model/iommu/iommu.h"
#include "model/vmx/profile.h"

static const char usage[] =
    "usage: sesqui boot IMAGE [OPTIONS]\n\n"
    "Boots an image as a PC's loader would: multiboot 1 and 2, Linux bzImage, PVH, plain ELF, also packed by gzip (docs/machine.md); - is\n"
    "standard input. Without --hv it owns the bare machine and VMX root operation; with --hv the hypervisor core runs beneath it as L0,\n"
    "and a hypervisor in the image is L1.\n\n"
    "  --append TEXT     command line of the image (of a multiboot image, after its name)\n"
    "  --module \"F ARGS\" a module of the image: file F, and the text \"F ARGS\" without F's folders; repeatable\n"
    "  --initrd FILE     the initrd of a Linux kernel; else a module with the text \"initrd\"\n"
    "  --disk FILE[,MODE]  a disk (virtio): raw or qcow2; MODE: snapshot (unless told: writes are gone at the end), ro, or rw, which alone\n"
    "                    writes FILE; up to 8 of them\n"
    "  --net loopback    a network device (virtio) that gets back what it sends; --net FILE: one whose frames go to FILE (pcap)\n"
    "  --virtio-console FILE  a virtio console: what the guest writes to it; - is stdout\n"
    "  --rng             a virtio entropy device: numbers from the seed\n"
    "  --edu             the device that public test suites and driver courses use (PCI 1234:11E8; DMA, INTx, MSI)\n"
    "  --iommu[=PROFILE] a DMA-remapping unit (VT-d): legacy (unless told), scalable or 3-level\n"
    "  --memory SIZE     RAM: 512M unless told; 1M to 4G\n"
    "  --cpus N          processors: 1 unless told; 1 to 80\n"
    "  --hv[=STRATEGY]   the core as L0; strategy for L1's VMCSs: trap (unless told), copy or flip\n"
    "  --hv-at WHEN      with --hv: the core slides beneath the image while it runs, and without its knowledge, when it writes a port\n"
    "                    (port:P[=V]), has executed so much (instructions:N), or its console has a text (console:TEXT)\n"
    "  --late            with --hv: the image runs on the bare machine until it asks for the core (docs/metal.md)\n"
    "  --vmx-profile P   processors of a generation: max (unless told), haswell, skylake or icelake\n"
    "  --vmx LIST        capabilities taken away and given back after that: -ept-ad,+pml; help lists the names\n"
    "  --races           with --hv: memory changes behind what the core has read of it, until the guest goes on; a core\n"
    "                    that reads each datum once (rule R8) does not notice\n"
    "  --feature-control N   IA32_FEATURE_CONTROL as firmware leaves it: 0 unlocked, 1 VMX off, 5 VMX on (unless told)\n"
    "  --full-trace      with --hv: also the VMREADs and VMWRITEs of the core\n"
    "  --strict          a broken rule stops the machine (status 122) instead of a warning\n"
    "  --check registers a hypervisor's exit path must give its guest all registers back: which it does not, and where\n"
    "  --explain=WHICH   why something failed, on stderr: once for each place and reason (unless told), all, or none\n"
    "  --trace FILE      one line an event; - is stdout\n"
    "  --trace-limit SIZE  the most that FILE gets: 1G unless told (a plain number: MB); 0: no limit. The trace's last line says so\n"
    "  --symbols         names for addresses in the trace, from the image's symbol table (messages always have them)\n"
    "  --dump-vmcs FILE  the VMCS of each VM entry that fails, for `sesqui check-vmcs`; - is stdout\n"
    "  --limit N         stop after N instructions (status 120; PAUSE counts as 40); 0: never, as unless told\n"
    "  --seed N          seed of everything random: 0 unless told\n"
    "  --count           say at the end how many instructions the processors executed\n"
    "  --hash            say at the end a number that stands for RAM, registers and devices: equal where they are\n"
    "  --stats[=FILE]    say at the end, or write to FILE, how many VM exits there were of which kind (docs/reactive.md)\n"
    "  --rtc DATE        the clock's date at the start, as 2024-01-01T12:00:00; 2024-01-01 unless told, and always by virtual time\n"
    "  --console FILE    the guest's console goes to FILE instead of stdout\n"
    "  --no-console      nowhere\n"
    "  --input FILE      a dialogue with the console, lines of  expect \"TEXT\" [within SECONDS]  and  send \"TEXT\"  (docs/machine.md)\n"
    "  --serial2 FILE    what the guest writes to the second UART (0x2f8); - is stdout\n\n"
    "The exit status is the guest's own or one of docs/exit-status.md.";

/* "trap", "copy", "flip"; NULL is the first. */
static bool set_hypervisor(void *to, const char *name)
{
    struct boot *boot = to;
    static const struct { const char *name; enum hypervisor hypervisor; } table[] = {
        { "trap", HYPERVISOR_TRAP }, { "copy", HYPERVISOR_COPY }, { "flip", HYPERVISOR_FLIP },
    };

    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (name && strcmp(name, table[i].name) != 0)
            continue;
        boot->machine.hypervisor = table[i].hypervisor;
        return true;
    }
    complain("--hv: unknown strategy \"%s\" (trap, copy or flip)", name);
    return false;
}

/* The name of a profile; NULL is the first. */
static bool set_iommu(void *to, const char *name)
{
    struct boot *boot = to;

    for (unsigned i = 0; i < IOMMU_PROFILES; i++) {
        if (name && strcmp(name, iommu_profiles[i].name) != 0)
            continue;
        boot->machine.iommu = &iommu_profiles[i];
        return true;
    }
    complain("--iommu: unknown profile \"%s\" (legacy, scalable or 3-level)", name);
    return false;
}

static bool set_hypervisor_at(void *to, const char *text)
{
    const char *fault = trigger_parse(&((struct boot *)to)->machine.hypervisor_at, text);

    if (fault)
        complain("--hv-at: \"%.40s\" is no moment: %s", text, fault);
    return !fault;
}

static bool set_profile(void *to, const char *name)
{
    return parse_profile(name, &((struct boot *)to)->machine.lacks);
}

/* "-ept-ad,+pml". */
static bool select_capabilities(const char *list, struct vmx_lacks *lacks)
{
    if (!*list)
        complain("--vmx: the list is empty (try: sesqui boot --vmx help)");
    bool good = *list;
    while (*list) {
        unsigned length = (unsigned)strcspn(list, ",");

        if (length < 2 || (*list != '+' && *list != '-')) {
            complain("--vmx: \"%.*s\" is neither +NAME nor -NAME (try: sesqui boot --vmx help)", (int)length, list);
            return false;
        }
        switch (profile_switch(lacks, list + 1, length - 1, *list == '+')) {
        case SWITCH_DONE:
            break;
        case SWITCH_UNKNOWN:
            complain("--vmx: unknown capability \"%.*s\" (try: sesqui boot --vmx help)", (int)length - 1, list + 1);
            return false;
        case SWITCH_NOT_IMPLEMENTED:
            complain("--vmx: \"%.*s\" is not implemented", (int)length - 1, list + 1);
            return false;
        }
        list += length + (list[length] == ',');
    }
    return good;
}

static void list_capabilities(void)
{
    const char *name, *text;

    puts("profiles (--vmx-profile):");
    for (unsigned i = 0; (name = profile_name(i, &text)); i++)
        printf("  %-32s%s\n", name, text);
    puts("\ncapabilities (--vmx -NAME,+NAME; \"-\" for \"_\"; without enable_, use_, activate_ or process_ if you like):");
    for (unsigned i = 0; (name = profile_capability(i, &text)); i++)
        printf("  %-32s%s\n", name, text);
    puts("\nWhat needs a capability that was taken away goes with it.");
}

static bool set_feature_control(void *to, const char *text)
{
    struct boot *boot = to;
    uint64_t *value = &boot->machine.feature_control;

    if (!parse_number("--feature-control", text, value))
        return false;
    boot->load.feature_control_told = true;
    if (*value & ~(FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX))
        complain("--feature-control: only bits 0 (lock) and 2 (VMX outside SMX) exist here");
    return !(*value & ~(FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_OUTSIDE_SMX));
}

static bool set_stats(void *to, const char *path)
{
    struct boot *boot = to;

    boot->machine.count_exits = true;
    boot->stats = path;
    return true;
}

static bool set_date(void *to, const char *text)
{
    struct boot *boot = to;

    boot->machine.date_told = date_parse(text, &boot->machine.date);
    if (!boot->machine.date_told)
        complain("--rtc: \"%.40s\" is no date of the years 1970 to 9999 as 2024-02-29, 2024-02-29T12:00 or 2024-02-29T12:00:00 (UTC)", text);
    return boot->machine.date_told;
}

static bool set_explain(void *to, const char *text)
{
    return parse_explain(text, &((struct boot *)to)->machine.explain);
}

static bool set_check(void *to, const char *text)
{
    return parse_check(text, &((struct boot *)to)->machine.check_registers);
}

static bool add(struct boot *boot, const char *line, const char *text)
{
    char error[MACHINE_MESSAGE_MAX];
    bool done = load_add_module(&boot->load, line, text, error, sizeof error);

    if (!done)
        complain("%s", error);
    return done;
}

static bool add_module(void *to, const char *line)
{
    return add(to, line, NULL);
}

static bool add_initrd(void *to, const char *path)
{
    return add(to, path, "initrd");
}

static bool add_disk(void *to, const char *text)
{
    struct boot *boot = to;

    if (boot->disks == MACHINE_DISKS_MAX) {
        complain("--disk: the machine has %d disks at most", MACHINE_DISKS_MAX);
        return false;
    }
    boot->disk[boot->disks++] = text;
    return true;
}

static bool set_image(void *to, const char *path)
{
    struct boot *boot = to;

    if (boot->load.image)
        complain("boot: one image at a time, please: \"%s\" is a second one", path);
    else
        boot->load.image = path;
    return boot->load.image == path;
}

/* What QEMU, Bochs and others call it. */
static const struct foreign_option foreign[] = {
    { "smp", "--cpus N" },
    { "m", "--memory SIZE" },
    { "ram", "--memory SIZE" },
    { "kernel", "the image is the argument without a dash: sesqui boot IMAGE" },
    { "bios", "no firmware images: sesqui boot IMAGE loads what a boot loader would" },
    { "cdrom", "no boot sectors: sesqui boot IMAGE loads what a boot loader would" },
    { "hda", "--disk FILE" },
    { "drive", "--disk FILE[,ro|,rw]" },
    { "cpu", "--vmx-profile P, --vmx LIST" },
    { "cmdline", "--append TEXT" },
    { "netdev", "--net loopback or --net FILE" },
    { "nic", "--net loopback or --net FILE" },
    { "device", "--disk, --net, --rng, --virtio-console, --edu, --iommu" },
    { "serial", "the first serial port is the console: --console, --serial2 FILE" },
    { "nographic", "there is no display: the console is stdout" },
    { "display", "there is no display: the console is stdout" },
    { "d", "--trace FILE" },
    { "icount", "time is always virtual: nothing to ask for" },
    { "accel", "nothing to ask for: there is one engine, and no /dev/kvm is used" },
    { "enable-kvm", "nothing to ask for: there is one engine, and no /dev/kvm is used" },
    { "machine", "one board (docs/machine.md); --cpus, --memory, --disk, --iommu" },
    { "no-reboot", "nothing to ask for: a reset ends the run" },
    { "s", "no gdb stub; --trace FILE, --limit N" },
    { NULL, NULL },
};

#define AT(member) offsetof(struct boot, member)
static const struct option options[] = {
    { .name = "--append", OPTION_TEXT, AT(load.arguments) },
    { .name = "--module", OPTION_CALL, .set = add_module },
    { .name = "--initrd", OPTION_CALL, .set = add_initrd },
    { .name = "--disk", OPTION_CALL, .set = add_disk },
    { .name = "--net", OPTION_TEXT, AT(net) },
    { .name = "--virtio-console", OPTION_TEXT, AT(virtio_console) },
    { .name = "--rng", OPTION_FLAG, AT(machine.rng) },
    { .name = "--edu", OPTION_FLAG, AT(machine.edu) },
    { .name = "--iommu", OPTION_CALL_IF_GIVEN, .set = set_iommu, .values = "legacy scalable 3-level" },
    { .name = "--memory", OPTION_SIZE, AT(machine.memory_size) },
    { .name = "--cpus", OPTION_NUMBER, AT(cpus) },
    { .name = "--hv", OPTION_CALL_IF_GIVEN, .set = set_hypervisor, .values = "trap copy flip" },
    { .name = "--hv-at", OPTION_CALL, .set = set_hypervisor_at },
    { .name = "--late", OPTION_FLAG, AT(machine.late) },
    { .name = "--vmx-profile", OPTION_CALL, .set = set_profile },
    { .name = "--vmx", OPTION_TEXT, AT(vmx) },
    { .name = "--races", OPTION_FLAG, AT(machine.races) },
    { .name = "--feature-control", OPTION_CALL, .set = set_feature_control },
    { .name = "--full-trace", OPTION_FLAG, AT(machine.full_trace) },
    { .name = "--strict", OPTION_FLAG, AT(machine.strict) },
    { .name = "--explain", OPTION_CALL, .set = set_explain },
    { .name = "--check", OPTION_CALL, .set = set_check },
    { .name = "--trace", OPTION_TEXT, AT(trace) },
    { .name = "--trace-limit", OPTION_SIZE, AT(trace_limit) },
    { .name = "--symbols", OPTION_FLAG, AT(symbols) },
    { .name = "--dump-vmcs", OPTION_TEXT, AT(dump) },
    { .name = "--limit", OPTION_NUMBER, AT(machine.limit) },
    { .name = "--seed", OPTION_NUMBER, AT(machine.seed) },
    { .name = "--count", OPTION_FLAG, AT(count) },
    { .name = "--hash", OPTION_FLAG, AT(hash) },
    { .name = "--stats", OPTION_CALL_IF_GIVEN, .set = set_stats },
    { .name = "--rtc", OPTION_CALL, .set = set_date },
    { .name = "--console", OPTION_TEXT, AT(console) },
    { .name = "--input", OPTION_TEXT, AT(input) },
    { .name = "--no-console", OPTION_FLAG, AT(no_console) },
    { .name = "--serial2", OPTION_TEXT, AT(serial2) },
    { .name = "--help", OPTION_FLAG, AT(help) },
    { .name = "-h", OPTION_FLAG, AT(help) },
};
#undef AT

static bool lists_capabilities(const struct boot *boot)
{
    return boot->vmx && strcmp(boot->vmx, "help") == 0;
}

/* What no option alone can tell. False after a complaint. */
static bool check(struct boot *boot)
{
    if (boot->help || lists_capabilities(boot))
        return true;
    if (boot->vmx && !select_capabilities(boot->vmx, &boot->machine.lacks))
        return false;
    boot->machine.cpus = boot->cpus <= MODEL_CPU_MAX ? (unsigned)boot->cpus : 0;    /* 0: refused by the machine */
    if (boot->machine.races && boot->machine.hypervisor == HYPERVISOR_NONE)
        complain("boot: --races is about the core beneath the image: give --hv, too");
    else if (boot->machine.late && boot->machine.hypervisor == HYPERVISOR_NONE)
        complain("boot: --late needs --hv: it says when the core comes beneath the image");
    else if (boot->machine.hypervisor_at.kind != TRIGGER_NONE && boot->machine.hypervisor == HYPERVISOR_NONE)
        complain("boot: --hv-at needs --hv: it says when the core comes beneath the image");
    else if (boot->machine.hypervisor_at.kind != TRIGGER_NONE && boot->machine.late)
        complain("boot: --hv-at and --late contradict each other: either the machine brings the core, or the image asks for it");
    else if (boot->no_console && boot->console)
        complain("boot: --console and --no-console contradict each other");
    else if (!boot->load.image)
        complain("boot: which image?  (try: sesqui boot --help)");
    else
        return true;
    return false;
}

bool boot_parse(struct boot *boot, int argc, char **argv)
{
    static const struct syntax syntax = { "boot", NULL, options, sizeof options / sizeof options[0], set_image, foreign };

    boot->cpus = 1;
    return options_parse(&syntax, argc, argv, boot) && check(boot);
}

bool boot_help(const struct boot *boot)
{
    if (boot->help)
        puts(usage);
    else if (lists_capabilities(boot))
        list_capabilities();
    return boot->help || lists_capabilities(boot);
}
