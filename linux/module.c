// SPDX-License-Identifier: (GPL-2.0 OR MIT)
/*
 * Brings L0 beneath the running Linux: on every online processor at once, in the midst of stop_machine(), or on none. The state is in
 * /sys/kernel/sesqui; "finalise" there makes it final. docs/linux.md has the rest.
 */
#define pr_fmt(fmt) "sesqui: " fmt
#include <crypto/sha2.h>
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/ioport.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/reboot.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/stop_machine.h>
#include <linux/suspend.h>
#include <linux/sysfs.h>
#include <asm/cpufeature.h>
#include <asm/smp.h>
#include <asm/tlbflush.h>

#include "sesqui.h"

enum { PROCESSORS_MAX = 512, RANGES_MAX = 256, LOG_SIZE = PAGE_SIZE };

static char *hv = "flip";
module_param(hv, charp, 0444);
MODULE_PARM_DESC(hv, "strategy for the VMCSs of Linux's hypervisor: flip (unless told), copy or trap");

static struct pool pool;
static struct world world;
static struct kobject *directory;
static DEFINE_MUTEX(lock);              /* of state and what the files do */
static enum { ABSENT, LOADED, FINAL } state;
static u8 digest[SHA256_DIGEST_SIZE];
static int hotplug;

/* What prepare() is told. */
static struct late_range range[RANGES_MAX];
static unsigned int local_apic_id[PROCESSORS_MAX];
static struct { u64 written; char text[LOG_SIZE - sizeof(u64)]; } *messages;
static char command_line[64];
static struct late_system about_system = { .signature = LATE_SYSTEM_SIGNATURE, .range = range, .local_apic_id = local_apic_id,
                                           .command_line = command_line };

/* ---- the log of L0 ---- */

/* The latest messages; returns how many characters. */
static size_t read_log(char *to, size_t size)
{
    const u64 written = READ_ONCE(messages->written), kept = min_t(u64, written, min_t(size_t, size, sizeof messages->text));
    u64 i;

    for (i = 0; i < kept; i++)
        to[i] = messages->text[(written - kept + i) % sizeof messages->text];
    return kept;
}

static void tell_log(void)
{
    char *text = kzalloc(LOG_SIZE, GFP_KERNEL), *rest = text, *line;

    if (!text)
        return;
    read_log(text, LOG_SIZE - 1);
    while ((line = strsep(&rest, "\n")))
        if (*line)
            pr_err("L0 says: %s\n", line);
    kfree(text);
}

/* ---- what is told to L0 ---- */

static int note_ram(struct resource *resource, void *unused)
{
    if (about_system.range_count == RANGES_MAX)
        return -E2BIG;
    range[about_system.range_count++] = (struct late_range){ resource->start, resource_size(resource), LATE_RAM };
    return 0;
}

static int describe_system(void)
{
    unsigned int cpu, count = 0;
    int error;

    for_each_possible_cpu(cpu)
        if (per_cpu(x86_cpu_to_apicid, cpu) != BAD_APICID) {
            if (count == PROCESSORS_MAX)
                return -E2BIG;
            local_apic_id[count++] = per_cpu(x86_cpu_to_apicid, cpu);
        }
    error = walk_iomem_res_desc(IORES_DESC_NONE, IORESOURCE_SYSTEM_RAM | IORESOURCE_BUSY, 0, -1, NULL, note_ram);
    if (error) {
        pr_err("the memory map cannot be read (%d)\n", error);
        return error;
    }
    about_system.processor_count = count;
    return 0;
}

static int prepare(void)
{
    u64 answer;

    about_system.pool = pool.base;
    about_system.pool_size = pool.size;
    about_system.linear = world.linear;
    about_system.log = __pa(messages);
    about_system.log_linear = (unsigned long)messages;
    about_system.log_size = LOG_SIZE;
    snprintf(command_line, sizeof command_line, "sesqui hv=%s log=memory", hv);
    preempt_disable();
    answer = world_call(&world, pool.image->prepare, &about_system);
    preempt_enable();
    if (answer == LATE_DONE)
        return 0;
    tell_log();
    pr_err("L0 refuses this system: nothing has changed\n");
    return -EINVAL;
}

/* ---- all processors ---- */

static cpumask_t over_l0;
static atomic_t refused;

static bool in_vmx_operation(void) { return cr4_read_shadow() & X86_CR4_VMXE; }

static int load_here(void *unused)
{
    if (in_vmx_operation() || world_call(&world, pool.image->load, NULL) != LATE_DONE)
        atomic_inc(&refused);
    else
        cpumask_set_cpu(smp_processor_id(), &over_l0);
    return 0;
}

static int unload_here(void *unused)
{
    if (cpumask_test_cpu(smp_processor_id(), &over_l0) && world_ask(&world, LATE_UNLOAD, 0) == LATE_DONE)
        cpumask_clear_cpu(smp_processor_id(), &over_l0);
    return 0;
}

/* Interrupts are off everywhere and nobody runs Linux on, so all or none is what Linux sees. */
static int load_everywhere(void)
{
    atomic_set(&refused, 0);
    stop_machine(load_here, NULL, cpu_online_mask);
    if (!atomic_read(&refused))
        return 0;
    stop_machine(unload_here, NULL, cpu_online_mask);
    tell_log();
    if (cpumask_empty(&over_l0))
        pr_err("%d of %u processors could not be loaded: all run without L0\n", atomic_read(&refused), num_online_cpus());
    return -EIO;
}

static int unload_everywhere(void)
{
    stop_machine(unload_here, NULL, cpu_online_mask);
    if (cpumask_empty(&over_l0))
        return 0;
    pr_err("L0 stays: some processor could not leave it\n");
    return -EBUSY;
}

/* A processor that comes later follows; one over L0 stays, for INIT and SIPI alone would bring it back. */
static int comes_online(unsigned int cpu)
{
    atomic_set(&refused, 0);
    if (state != ABSENT && !cpumask_test_cpu(cpu, &over_l0))
        load_here(NULL);
    if (!atomic_read(&refused))
        return 0;
    pr_err("processor %u could not be loaded, and stays offline\n", cpu);
    return -EIO;
}

static int goes_offline(unsigned int cpu)
{
    if (state == ABSENT)
        return 0;
    pr_warn("processor %u has L0 beneath it and cannot go offline\n", cpu);
    return -EBUSY;
}

/* ---- sleep, reboot ---- */

static int before_sleep(struct notifier_block *block, unsigned long what, void *unused)
{
    if (state == ABSENT || (what != PM_SUSPEND_PREPARE && what != PM_HIBERNATION_PREPARE))
        return NOTIFY_DONE;
    pr_warn("L0 does not survive sleep: refused\n");
    return NOTIFY_BAD;
}

/* Behind KVM's, which leaves VMX operation first. What is final stays beneath the next kernel. */
static int before_reboot(struct notifier_block *block, unsigned long what, void *unused)
{
    if (state == LOADED && unload_everywhere() == 0)
        state = ABSENT;
    return NOTIFY_DONE;
}

static struct notifier_block sleep_notifier = { .notifier_call = before_sleep };
static struct notifier_block reboot_notifier = { .notifier_call = before_reboot, .priority = -1 };

/* KVM reads what the processor can when it is loaded, and never again: L0 offers less. */
static bool kvm_intel_loaded(void)
{
    struct kobject *found = kset_find_obj(THIS_MODULE->mkobj.kobj.kset, "kvm_intel");

    kobject_put(found);
    return found;
}

/* ---- /sys/kernel/sesqui ---- */

static ssize_t state_show(struct kobject *kobject, struct kobj_attribute *attribute, char *to)
{
    static const char *const names[] = { "absent", "loaded", "final" };

    return sysfs_emit(to, "%s\n", names[state]);
}

static ssize_t processors_show(struct kobject *kobject, struct kobj_attribute *attribute, char *to)
{
    return sysfs_emit(to, "%*pbl\n", cpumask_pr_args(&over_l0));
}

static ssize_t sha256_show(struct kobject *kobject, struct kobj_attribute *attribute, char *to)
{
    return sysfs_emit(to, "%*phN\n", (int)sizeof digest, digest);
}

static ssize_t command_line_show(struct kobject *kobject, struct kobj_attribute *attribute, char *to)
{
    return sysfs_emit(to, "%s\n", command_line);
}

static ssize_t pool_show(struct kobject *kobject, struct kobj_attribute *attribute, char *to)
{
    return sysfs_emit(to, "%pa %zu\n", &pool.base, pool.size);
}

static ssize_t log_show(struct kobject *kobject, struct kobj_attribute *attribute, char *to)
{
    return read_log(to, PAGE_SIZE);
}

static const char *const reason_text[LATE_EXIT_REASONS] = {
#define EXIT_REASON(name, number, text) [number] = text,
#include "arch/exit_reasons.def"
};

static void count_exits_here(void *page)
{
    if (world_ask(&world, LATE_EXITS, __pa(page)) != LATE_DONE)
        memset(page, 0, sizeof(struct late_exits));
}

/* A line a reason: how often L1 and L2 exited, on all processors together. */
static ssize_t exits_show(struct kobject *kobject, struct kobj_attribute *attribute, char *to)
{
    struct late_exits *here = (void *)get_zeroed_page(GFP_KERNEL), *sum = (void *)get_zeroed_page(GFP_KERNEL);
    unsigned int cpu, level, reason;
    ssize_t length = -ENOMEM;

    if (here && sum) {
        cpus_read_lock();
        for_each_cpu_and(cpu, &over_l0, cpu_online_mask) {
            smp_call_function_single(cpu, count_exits_here, here, true);
            for (level = 0; level < 2; level++)
                for (reason = 0; reason < LATE_EXIT_REASONS; reason++)
                    sum->of[level][reason] += here->of[level][reason];
        }
        cpus_read_unlock();
        length = 0;
        for (reason = 0; reason < LATE_EXIT_REASONS; reason++)
            if (sum->of[0][reason] || sum->of[1][reason])
                length += sysfs_emit_at(to, length, "%-28s %llu %llu\n", reason_text[reason] ?: "unknown", sum->of[0][reason], sum->of[1][reason]);
    }
    free_page((unsigned long)here);
    free_page((unsigned long)sum);
    return length;
}

static ssize_t finalise_store(struct kobject *kobject, struct kobj_attribute *attribute, const char *from, size_t size)
{
    ssize_t result = size;

    if (!sysfs_streq(from, "1"))
        return -EINVAL;
    mutex_lock(&lock);
    if (state == LOADED && world_ask(&world, LATE_FINALISE, 0) == LATE_DONE) {
        state = FINAL;
        pr_info("final: nothing removes L0 any more\n");
    } else if (state != FINAL) {
        result = -EIO;
    }
    mutex_unlock(&lock);
    return result;
}

/* Behind this the module can be removed: as long as L0 is there it is in use. */
static ssize_t unload_store(struct kobject *kobject, struct kobj_attribute *attribute, const char *from, size_t size)
{
    ssize_t result = -EBUSY;

    if (!sysfs_streq(from, "1"))
        return -EINVAL;
    mutex_lock(&lock);
    if (state == FINAL) {
        pr_err("L0 is final\n");
    } else if (kvm_intel_loaded()) {
        pr_err("kvm_intel is loaded, and knows the processor with L0: rmmod kvm_intel first\n");
    } else if (state == ABSENT || unload_everywhere() == 0) {
        if (state == LOADED) {
            state = ABSENT;
            pr_info("L0 is gone\n");
            module_put(THIS_MODULE);
        }
        result = size;
    }
    mutex_unlock(&lock);
    return result;
}

static struct kobj_attribute attributes[] = {
    __ATTR_RO(state), __ATTR_RO(processors), __ATTR_RO(sha256), __ATTR_RO(command_line), __ATTR_RO(pool), __ATTR_RO_MODE(log, 0400), __ATTR_RO_MODE(exits, 0400),
    __ATTR(finalise, 0200, NULL, finalise_store), __ATTR(unload, 0200, NULL, unload_store),
};
static struct attribute *attribute_list[ARRAY_SIZE(attributes) + 1];
static const struct attribute_group group = { .attrs = attribute_list };

/* ---- life ---- */

static int refuse_early(void)
{
    if (!boot_cpu_has(X86_FEATURE_VMX) || !boot_cpu_has(X86_FEATURE_MSR_IA32_FEAT_CTL)) {
        pr_err("this processor has no VMX, or firmware has locked it off (IA32_FEATURE_CONTROL)\n");
        return -ENODEV;
    }
    if (strcmp(hv, "flip") && strcmp(hv, "copy") && strcmp(hv, "trap")) {
        pr_err("hv=%s: there are flip, copy and trap\n", hv);
        return -EINVAL;
    }
    if (in_vmx_operation()) {
        pr_err("Linux is in VMX operation: end all virtual machines first\n");
        return -EBUSY;
    }
    if (kvm_intel_loaded()) {
        pr_err("kvm_intel is loaded, and knows the processor without L0: rmmod kvm_intel, and modprobe it afterwards\n");
        return -EBUSY;
    }
    return 0;
}

static void release(void)
{
    if (hotplug > 0)
        cpuhp_remove_state_nocalls(hotplug);
    world_destroy(&world);
    pool_give_back(&pool);
    free_page((unsigned long)messages);
}

static int tell_files(void)
{
    unsigned int i;

    for (i = 0; i < ARRAY_SIZE(attributes); i++) {
        sysfs_attr_init(&attributes[i].attr);
        attribute_list[i] = &attributes[i].attr;
    }
    directory = kobject_create_and_add("sesqui", kernel_kobj);
    return directory ? sysfs_create_group(directory, &group) : -ENOMEM;
}

static int bring_l0(void)
{
    int error;

    messages = (void *)get_zeroed_page(GFP_KERNEL);
    if (!messages)
        return -ENOMEM;
    error = describe_system();
    if (!error)
        error = pool_take(&pool, about_system.processor_count);
    if (!error)
        error = world_build(&pool, &world);
    if (!error)
        error = prepare();
    if (error)
        return error;
    hotplug = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN, "sesqui:online", comes_online, goes_offline);
    if (hotplug < 0)
        return hotplug;
    pool_hide(&pool);
    cpu_hotplug_disable();
    error = load_everywhere();
    if (!cpumask_empty(&over_l0))
        state = LOADED;
    cpu_hotplug_enable();
    return error;
}

static int __init sesqui_init(void)
{
    int error = refuse_early();

    if (error)
        return error;
    sha256(sesqui_image, sesqui_image_end - sesqui_image, digest);
    pr_info("image of L0: SHA-256 %*phN, %s\n", (int)sizeof digest, digest, hv);
    error = bring_l0();
    if (!error)
        error = tell_files();
    if (error && (state == ABSENT || unload_everywhere() == 0)) {
        state = ABSENT;
        kobject_put(directory);
        release();
        return error;
    }
    /* L0 is there, and so has the module to be. */
    __module_get(THIS_MODULE);
    register_pm_notifier(&sleep_notifier);
    register_reboot_notifier(&reboot_notifier);
    pr_info("L0 is beneath %u processors, %zu MB at %pa\n", cpumask_weight(&over_l0), pool.size >> 20, &pool.base);
    return 0;
}

/* A forced removal comes here while L0 is there: it keeps its memory. */
static void __exit sesqui_exit(void)
{
    unregister_reboot_notifier(&reboot_notifier);
    unregister_pm_notifier(&sleep_notifier);
    kobject_put(directory);
    if (state == ABSENT)
        release();
}

module_init(sesqui_init);
module_exit(sesqui_exit);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("Loads the hypervisor core Sesqui beneath a running Linux");
