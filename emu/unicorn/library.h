/* SPDX-License-Identifier: MIT */
/*
 * What this folder knows about the inside of Unicorn 2.0.1.post1 beyond its public header: functions of the static
 * library that are not declared there, and the places of fields in its structures. layout.c proves each at start-up.
 *
 * A function named __wrap_X replaces X where X is called across the library's object files (wrap.opts); __real_X is the
 * library's own. Names end in the library's target suffix.
 */
#ifndef SESQUI_EMU_UNICORN_LIBRARY_H
#define SESQUI_EMU_UNICORN_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>
#include <unicorn/unicorn.h>

enum { UNICORN_VERSION = 0x020001ff };

typedef struct library_cpu library_cpu;     /* CPUState, at the start of X86CPU */
typedef struct library_env library_env;     /* CPUX86State, inside X86CPU */
typedef struct { uint32_t bits; } library_attributes;   /* MemTxAttrs: one 32-bit word passed by value */

/* The translator's callbacks (TranslatorOps); `db` is a DisasContextBase. */
struct translator_ops {
    void (*init_disas_context)(void *db, library_cpu *cpu);
    void (*tb_start)(void *db, library_cpu *cpu);
    void (*insn_start)(void *db, library_cpu *cpu);
    bool (*breakpoint_check)(void *db, library_cpu *cpu, const void *breakpoint);
    void (*translate_insn)(void *db, library_cpu *cpu);
    void (*tb_stop)(void *db, library_cpu *cpu);
};

void tlb_set_page_with_attrs_x86_64(library_cpu *cpu, uint64_t va, uint64_t pa, library_attributes attributes, int rights,
                                    int mmu, uint64_t size);
void tlb_set_dirty_x86_64(library_cpu *cpu, uint64_t va);
void tlb_reset_dirty_x86_64(library_cpu *cpu, uint64_t host, uint64_t length);
void tlb_flush_x86_64(library_cpu *cpu);
void tlb_flush_page_x86_64(library_cpu *cpu, uint64_t va);
void tb_flush_x86_64(library_cpu *cpu);
void tb_invalidate_phys_range_x86_64(uc_engine *uc, uint64_t start, uint64_t end);
uint64_t get_page_addr_code_x86_64(library_env *env, uint64_t va);
uint64_t qemu_ram_addr_from_host_x86_64(uc_engine *uc, void *host);
_Noreturn void cpu_loop_exit_restore_x86_64(library_cpu *cpu, uintptr_t return_address);
bool cpu_restore_state_x86_64(library_cpu *cpu, uintptr_t return_address, bool will_exit);
void cpu_reset_interrupt(library_cpu *cpu, int mask);
void cpu_x86_update_cr0_x86_64(library_env *env, uint32_t value);
void cpu_x86_update_cr4_x86_64(library_env *env, uint32_t value);
void cpu_x86_cpuid_x86_64(library_env *env, uint32_t leaf, uint32_t subleaf, uint32_t *a, uint32_t *b, uint32_t *c,
                          uint32_t *d);

library_cpu *__real_cpu_x86_init_x86_64(uc_engine *uc);
library_cpu *__wrap_cpu_x86_init_x86_64(uc_engine *uc);
void *__real_memory_mapping(uc_engine *uc, uint64_t va);
void *__wrap_memory_mapping(uc_engine *uc, uint64_t va);
int __real_gettimeofday(struct timeval *tv, void *zone);
int __wrap_gettimeofday(struct timeval *tv, void *zone);

bool __wrap_x86_cpu_tlb_fill_x86_64(library_cpu *cpu, uint64_t va, int size, int access, int mmu, bool probe, uintptr_t ra);
void __real_tlb_protect_code_x86_64(uc_engine *uc, uint64_t ram_address);
void __wrap_tlb_protect_code_x86_64(uc_engine *uc, uint64_t ram_address);
void __real_tlb_unprotect_code_x86_64(uc_engine *uc, uint64_t ram_address);
void __wrap_tlb_unprotect_code_x86_64(uc_engine *uc, uint64_t ram_address);

void __real_tcg_exec_init_x86_64(uc_engine *uc, unsigned long buffer_size);
void __wrap_tcg_exec_init_x86_64(uc_engine *uc, unsigned long buffer_size);
void __real_translator_loop_x86_64(const struct translator_ops *ops, void *db, library_cpu *cpu, void *tb, int max_insns);
void __wrap_translator_loop_x86_64(const struct translator_ops *ops, void *db, library_cpu *cpu, void *tb, int max_insns);
uint32_t __real_cpu_ldub_code_x86_64(library_env *env, uint64_t address);
uint32_t __wrap_cpu_ldub_code_x86_64(library_env *env, uint64_t address);
_Noreturn void __real_cpu_loop_exit_noexc_x86_64(library_cpu *cpu);
_Noreturn void __wrap_cpu_loop_exit_noexc_x86_64(library_cpu *cpu);
_Noreturn void __wrap_cpu_loop_exit_atomic_x86_64(library_cpu *cpu, uintptr_t ra);
_Noreturn void __wrap_cpu_abort_x86_64(library_cpu *cpu, const char *format, ...);
_Noreturn void __real_abort(void);
_Noreturn void __wrap_abort(void);
_Noreturn void __real___assert_fail(const char *assertion, const char *file, unsigned line, const char *function);
_Noreturn void __wrap___assert_fail(const char *assertion, const char *file, unsigned line, const char *function);

void __wrap_cpu_svm_check_intercept_param_x86_64(library_env *env, uint32_t type, uint64_t param, uintptr_t ra);
bool __wrap_x86_cpu_exec_interrupt_x86_64(library_cpu *cpu, int request);
void __real_helper_sti_x86_64(library_env *env);
void __wrap_helper_sti_x86_64(library_env *env);
uint64_t __real_helper_read_eflags_x86_64(library_env *env);
uint64_t __wrap_helper_read_eflags_x86_64(library_env *env);
void __wrap_helper_cpuid_x86_64(library_env *env);
void __wrap_helper_syscall_x86_64(library_env *env, int length);
void __wrap_helper_sysret_x86_64(library_env *env, int size);
void __wrap_helper_sysenter_x86_64(library_env *env, int length);
void __wrap_helper_sysexit_x86_64(library_env *env, int size);
void __real_helper_load_seg_x86_64(library_env *env, int segment, int selector);
void __wrap_helper_load_seg_x86_64(library_env *env, int segment, int selector);

/* Byte offsets in CPUX86State; those named CPU_, DB_, HOOK_, CONTEXT_ are in other structures. */
enum {
    REGS = 0x00, EIP = 0x80, EFLAGS = 0x88, CC_SRC = 0x98, CC_OP = 0xa8, DF = 0xac, HFLAGS = 0xb0, SEGMENTS = 0xb8,
    CR = 0x1a8, EFER = 0x230, FPU_FIRST = 0x238, FPU_END = 0x12a0, SYSENTER_CS = 0x12a0, SYSENTER_ESP = 0x12a8,
    SYSENTER_EIP = 0x12b0, STAR = 0x12b8, LSTAR = 0x12c8, CSTAR = 0x12d0, FMASK = 0x12d8, KERNEL_GS_BASE = 0x12e0,
    TSC_AUX = 0x1300, XCR0 = 0x1308, ERROR_CODE = 0x14e8, EXCEPTION_IS_INT = 0x14ec,
    CPUID_LEVEL = 0x15c4, CPUID_XLEVEL = 0x15c8, CPUID_VENDOR1 = 0x15d0, FEATURES = 0x15e0, COUNTERS = 0x18f0 /* mtrr_var: eight pairs of 8 bytes */,
    CPU_INTERRUPT_REQUEST = 0x1c, CPU_MEM_IO_PC = 0x8178, CPU_TRACE_DSTATE = 0x8188, CPU_EXCEPTION_INDEX = 0x81a0,
    CPU_ENV = 0x8750,
    DB_PC_NEXT = 0x10, DB_IS_JMP = 0x18,
    CONTEXT_HEADER = 0x10,
};
/* SegmentCache. Segments follow the order of enum segment_register, then GDTR and IDTR. */
enum { SEGMENT_SIZE = 0x18, SEGMENT_SELECTOR = 0, SEGMENT_BASE = 8, SEGMENT_LIMIT = 0x10, SEGMENT_FLAGS = 0x14 };
enum { LIBRARY_GDTR = 8, LIBRARY_IDTR = 9, LIBRARY_SEGMENTS = 10 };
/* Words of `features`. */
enum { F_1_EDX, F_1_ECX, F_7_EBX, F_7_ECX, F_7_EDX, F_7_1_EAX, F_81_EDX, F_81_ECX, F_D_1_EAX = 19, F_D_0_EAX = 21 };

/* hflags: part of the key of every translated block. */
enum {
    HF_SHADOW = 1 << 3, HF_CS32 = 1 << 4, HF_SS32 = 1 << 5, HF_ADDSEG = 1 << 6, HF_PE = 1 << 7, HF_LMA = 1 << 14,
    HF_CS64 = 1 << 15, HF_OSFXSR = 1 << 22, HF_SMAP = 1 << 23,
};
enum { MMU_SUPERVISOR, MMU_USER, MMU_SUPERVISOR_AC };           /* the third: SMAP does not apply */
enum { LIBRARY_READ, LIBRARY_WRITE, LIBRARY_FETCH };            /* MMUAccessType */
enum { DISAS_NEXT, DISAS_TOO_MANY };                            /* DisasJumpType: go on; end the block here */
enum { SVM_EXCEPTION = 0x40, SVM_SOFTWARE_INTERRUPT = 0x75 };   /* `type` of cpu_svm_check_intercept_param */

#define FIELD(type, structure, offset) (*(type *)((uint8_t *)(structure) + (offset)))
#define ENV32(env, offset) FIELD(uint32_t, env, offset)
#define ENV64(env, offset) FIELD(uint64_t, env, offset)
#define SEGMENT(type, env, index, field) FIELD(type, env, SEGMENTS + (index) * SEGMENT_SIZE + (field))
#define RETURN_ADDRESS ((uintptr_t)__builtin_return_address(0))

#endif
