/* SPDX-License-Identifier: MIT */
/*
 * The core beneath scripts: what L1 must find as on a processor, and what a hostile L1 must not reach. Each line that
 * its `expect` lines do not cover must succeed; a broken rule (docs/rules.md) fails the test.
 */
#include <stdlib.h>

#include "tests/script.h"
#include "tests/suite.h"

/* Machine of 64 MB: L0's pool is its last 8. The page in the middle of it stands for all of L0. */
#define POOL "0x3c00000"

#define L1 "l0 native trap\n"
#define ROOT L1 IN_ROOT("l1")
#define L2 ROOT "l1 prepare vmcs\n"
#define MANY                                                                                                        \
    "l1 prepare region 0x12000\nl1 prepare region 0x13000\nl1 prepare region 0x14000\nl1 prepare region 0x15000\n"   \
    "l1 prepare region 0x16000\n"
#define L2_EPT ROOT "l1 prepare ept 0x400000\nl1 prepare vmcs ept=0x400000\n"

static const char *const scenario[] = {
    /* ---- L0's memory is absent ---- */
    L1 "l1 read " POOL " 8\nexpect fault 13 0\nl1 write " POOL " 8 1\nexpect fault 13 0\n",
    L1 "l1 read 0x3800000 1\nexpect fault 13 0\nl1 read 0x37fffff 1\n",
    ROOT "l1 vmptrld " POOL "\nexpect fail 11\n",
    ROOT "l1 vmclear " POOL "\nl1 vmptrst\nexpect value 0x11000\n",
    L1 "l1 prepare vmx\nl1 vmxon " POOL "\nexpect fail invalid\n",
    L1 "l1 prepare vmx\nl1 vmxon 0xfee00000\nexpect fail invalid\n",
    L2_EPT "l1 ept map 0x400000 0x300000 " POOL " rwx\nl1 vmlaunch\nl2 read 0x300000 8\n"
           "expect exit ept_violation to=l1\nl1 vmread exit_qualification\nexpect value 0x781\n",
    L2 "l1 vmlaunch\nl2 read " POOL " 8\nexpect fault 13 0\nexpect level l2\n",
    L2 "l1 vmwrite exception_bitmap 0x2000\nl1 vmlaunch\nl2 read " POOL " 8\nexpect exit ept_violation to=l1\n"
       "l1 vmread exit_reason\nexpect value 0\nl1 vmread exit_interruption_information\nexpect value 0x80000b0d\n",
    L2_EPT "l1 vmwrite ept_pointer 0x3c0001e\nl1 vmlaunch\nl2 read 0x300000 8\nexpect exit ept_violation to=l1\n"
           "l1 vmread exit_reason\nexpect value 49\n",
    L2 "l1 set proc.use_msr_bitmaps\nl1 vmwrite msr_bitmap_address " POOL "\nl1 vmlaunch\nl2 rdmsr ia32_star\n"
       "expect exit rdmsr to=l1\n",
    L2 "l1 vmwrite entry_msr_load_address " POOL "\nl1 vmwrite entry_msr_load_count 1\nl1 vmlaunch\n"
       "expect entry failed\nl1 vmread exit_reason\nexpect value 0x80000022\n"
       "l1 vmread exit_qualification\nexpect value 1\n",

    /* ---- operands: check first, read once, privilege ---- */
    ROOT "l1 vmptrld 0x11001\nexpect fail 9\nl1 vmptrld 0x10000\nexpect fail 10\nl1 vmclear 0x10000\nexpect fail 3\n",
    ROOT "l1 vmread 0x7ffe\nexpect fail 12\nl1 vmread vm_instruction_error\nexpect value 12\n",
    ROOT "l1 vmwrite pml_address 0\nexpect fail 12\nl1 vmwrite exit_reason 7\nl1 vmread exit_reason\nexpect value 7\n",
    ROOT "l1 vmwrite guest_cs_selector 0x12345678\nl1 vmread guest_cs_selector\nexpect value 0x5678\n",
    ROOT "l1 vmwrite tsc_offset 0x1122334455667788\nl1 vmread 0x2011\nexpect value 0x11223344\n"
         "l1 vmwrite 0x2011 0xaabbccdd\nl1 vmread tsc_offset\nexpect value 0xaabbccdd55667788\n",
    ROOT "l1 cpl 3\nl1 vmread guest_rip\nexpect fault 13 0\nl1 vmxoff\nexpect fault 13 0\nl1 vmcall\n"
       "expect fault 13 0\n"
         "l1 cpl 0\nl1 vmptrst\nexpect value 0x11000\n",
    L1 "l1 vmxoff\nexpect fault 6\nl1 vmptrst\nexpect fault 6\nl1 invept 2 0\nexpect fault 6\n"
       "l1 vmxon 0x10000\nexpect fault 6\n",
    L1 "l1 mov_to_cr 4 0x2620\nl1 vmxon 0x10000\nexpect fault 13 0\n",      /* IA32_FEATURE_CONTROL is not locked */

    /* ---- the current VMCS: its state survives the change of the pointer, not of memory ---- */
    ROOT "l1 vmwrite guest_rip 0x1234\nl1 prepare region 0x12000\nl1 vmclear 0x12000\nl1 vmptrld 0x12000\n"
         "l1 vmwrite guest_rip 0x5678\nl1 vmptrld 0x11000\nl1 vmread guest_rip\nexpect value 0x1234\n"
         "l1 vmptrld 0x12000\nl1 vmread guest_rip\nexpect value 0x5678\n",
    ROOT "l1 vmwrite guest_rip 0x1234\nl1 fill 0x11000 0xff\nl1 vmread guest_rip\nexpect value 0x1234\n",
    ROOT "l1 vmclear 0x11000\nl1 vmread guest_rip\nexpect fail invalid\nl1 vmlaunch\nexpect fail invalid\n",
    L2 "l1 vmresume\nexpect fail 5\nl1 vmlaunch\nl2 vmcall\nexpect exit vmcall to=l1\nl1 vmlaunch\nexpect fail 4\n"
       "l1 vmclear 0x11000\nl1 vmptrld 0x11000\nl1 vmresume\nexpect fail 5\nl1 vmlaunch\n",
    L2 "l1 mov_ss\nl1 vmlaunch\nexpect fail 26\n",

    /* ---- entry checks that only L0 can make ---- */
    L2 "l1 set proc2.enable_vpid\nl1 set proc.activate_secondary_controls\nl1 vmwrite virtual_processor_identifier 0\n"
       "l1 vmlaunch\nexpect fail 7\n",
    L2 "l1 vmwrite pin_based_controls 0\nl1 vmlaunch\nexpect fail 7\n",
    L2 "l1 vmwrite secondary_processor_based_controls 0x4000\nl1 set proc.activate_secondary_controls\nl1 vmlaunch\n"
       "expect fail 7\n",
    L2 "l1 set proc.use_io_bitmaps\nl1 vmwrite io_bitmap_a_address 0x11\nl1 vmlaunch\nexpect fail 7\n",
    L2 "l1 vmwrite exit_msr_store_count 1\nl1 vmwrite exit_msr_store_address 8\nl1 vmlaunch\nexpect fail 7\n",
    L2 "l1 vmwrite cr3_target_count 5\nl1 vmlaunch\nexpect fail 7\n",       /* hardware's refusal becomes L1's */
    L2 "l1 vmwrite host_cr4 0\nl1 vmlaunch\nexpect fail 8\nl1 vmread vm_instruction_error\nexpect value 8\n",
    L2 "l1 vmwrite host_rip 0x4000000000000000\nl1 vmlaunch\nexpect fail 8\n",
    L2 "l1 vmwrite host_rip 0x8000000100119\nl1 vmlaunch\nexpect fail 8\n",      /* canonical by 57 bits, and host CR4.LA57 is 0 */
    L2 "l1 clear exit.host_address_space_size\nl1 vmlaunch\nexpect fail 8\n",
    L2 "l1 vmwrite host_tr_selector 0\nl1 vmlaunch\nexpect fail 8\n",
    L2 "l1 vmwrite guest_activity_state 2\nl1 vmlaunch\nexpect entry failed\nl1 vmread exit_reason\n"
       "expect value 0x80000021\n",
    L2 "l1 vmwrite vmcs_link_pointer 0x12001\nl1 vmlaunch\nexpect entry failed\n"
       "l1 vmread exit_qualification\nexpect value 4\n",
    L2 "l1 vmwrite guest_rflags 0\nl1 vmlaunch\nexpect entry failed guest.rflags.fixed\nexpect level l1\n"
       "l1 vmwrite guest_rflags 2\nl1 vmlaunch\nl2 cpuid 0\nexpect exit cpuid to=l1\n",

    /* ---- exits ---- */
    L2 "l1 vmwrite guest_cr4 0x42620\nl1 vmlaunch\nl2 xsetbv 0 1\nexpect exit xsetbv to=l1\n",
    L2 "l1 vmlaunch\nl2 vmxon 0x10000\nexpect exit vmxon to=l1\n",
    L2 "l1 vmlaunch\nl2 rdmsr 0x12345\nexpect exit rdmsr to=l1\n",
    L2 "l1 set proc.use_msr_bitmaps\nl1 vmwrite msr_bitmap_address 0x20000\nl1 vmlaunch\nl2 rdmsr ia32_vmx_basic\n"
       "expect exit rdmsr to=l0\nl2 rdmsr ia32_star\nl2 rdmsr 0x12345\nexpect exit rdmsr to=l1\n",
    L2 "l1 vmwrite entry_interruption_information 0x80000b0d\nl1 vmlaunch\nexpect event 13 0\nl2 vmcall\n"
       "expect exit vmcall to=l1\nl1 vmread entry_interruption_information\nexpect value 0xb0d\n",
    L2 "l1 vmlaunch\nl2 register rip 0x7654\nl2 vmcall\nexpect exit vmcall to=l1\nl1 vmread guest_rip\n"
       "expect value 0x7654\n"
       "l1 mov_from_cr 4\nl1 rdmsr ia32_debugctl\nexpect value 0\nl1 vmread host_rsp\nexpect value 0xfe000\n",
    /* A violation of the shadow EPT while an event is delivered: the event comes again (B.2, the oldest bug of all). */
    L2_EPT "l1 vmwrite entry_interruption_information 0x80000b0d\nl1 vmlaunch\nexpect event 13 0\nexpect level l2\n",

    /* ---- L1's EPT: rights up without INVEPT, down with it; many shadows ---- */
    L2_EPT "l1 ept map 0x400000 0x300000 0x300000 r\nl1 vmlaunch\nl2 read 0x300000 8\nl2 write 0x300000 8 1\n"
           "expect exit ept_violation to=l1\nl1 vmread exit_qualification\nexpect value 0x78a\n"
           "l1 ept map 0x400000 0x300000 0x300000 rw\nl1 vmresume\nl2 write 0x300000 8 1\nl2 vmcall\n"
           "expect exit vmcall to=l1\nl1 ept unmap 0x400000 0x300000\nl1 invept 1 0x40001e\nl1 vmresume\n"
           "l2 read 0x300000 8\nexpect exit ept_violation to=l1\n",
    L2_EPT "l1 ept entry 0x400000 0x300000 0x300032\nl1 vmlaunch\nl2 read 0x300000 8\nexpect exit ept_violation to=l1\n"
           "l1 vmread exit_reason\nexpect value 49\nl1 vmread guest_physical_address\nexpect value 0x300000\n",
    L2_EPT "l1 vmlaunch\nl2 read 0x300000 8\nl2 vmcall\nexpect exit vmcall to=l1\n"
           "repeat 20\nl1 invept 2 0\nl1 vmresume\nl2 read 0x300000 8\nl2 vmcall\nexpect exit vmcall to=l1\nend\n",

    /* ---- CR0, CR4, XSETBV, MSRs of L1 ---- */
    ROOT "l1 mov_to_cr 4 0x620\nexpect fault 13 0\nl1 mov_to_cr 0 0x80000011\nexpect fault 13 0\nl1 vmxoff\n"
         "l1 mov_to_cr 4 0x620\nl1 mov_from_cr 4\nexpect value 0x620\n",
    L1 "l1 mov_to_cr 0 0x80000013\nl1 mov_from_cr 0\nexpect value 0x80000013\n",
    L1 "l1 xsetbv 0 1\nexpect fault 6\nl1 mov_to_cr 4 0x40620\nl1 xsetbv 0 2\nexpect fault 13 0\nl1 xsetbv 0 3\n"
       "l1 cpl 3\nl1 xsetbv 0 1\nexpect fault 13 0\n",
    L1 "l1 rdmsr 0x12345\nexpect fault 13 0\nl1 wrmsr ia32_vmx_basic 0\nexpect fault 13 0\nl1 rdmsr ia32_vmx_vmfunc\n"
       "expect fault 13 0\n",
    L1 "l1 rdmsr ia32_feature_control\nexpect value 0\nl1 wrmsr ia32_feature_control 5\nl1 rdmsr ia32_feature_control\n"
       "expect value 5\nl1 wrmsr ia32_feature_control 5\nexpect fault 13 0\n",
    L1 "l1 getsec 0\nexpect fault 6\nl1 invd\n",

    /* ---- many VMCSs: more than any strategy keeps at hand ---- */
    ROOT MANY "l1 vmptrld 0x11000\nl1 vmwrite guest_rip 0x11\nl1 vmwrite host_rip 0x111\n"
              "l1 vmptrld 0x12000\nl1 vmwrite guest_rip 0x12\nl1 vmwrite host_rip 0x112\n"
              "l1 vmptrld 0x13000\nl1 vmwrite guest_rip 0x13\nl1 vmwrite host_rip 0x113\n"
              "l1 vmptrld 0x14000\nl1 vmwrite guest_rip 0x14\nl1 vmwrite host_rip 0x114\n"
              "l1 vmptrld 0x15000\nl1 vmwrite guest_rip 0x15\nl1 vmwrite host_rip 0x115\n"
              "l1 vmptrld 0x16000\nl1 vmwrite guest_rip 0x16\nl1 vmwrite host_rip 0x116\n"
              "repeat 3\n"
              "l1 vmptrld 0x11000\nl1 vmread guest_rip\nexpect value 0x11\nl1 vmread host_rip\nexpect value 0x111\n"
              "l1 vmptrld 0x16000\nl1 vmread guest_rip\nexpect value 0x16\nl1 vmread host_rip\nexpect value 0x116\n"
              "l1 vmptrld 0x13000\nl1 vmread guest_rip\nexpect value 0x13\nl1 vmread host_rip\nexpect value 0x113\n"
              "l1 vmclear 0x13000\nl1 vmread guest_rip\nexpect fail invalid\n"
              "l1 vmptrld 0x12000\nl1 vmread guest_rip\nexpect value 0x12\nl1 vmread host_rip\nexpect value 0x112\n"
              "l1 vmclear 0x11000\nl1 vmread guest_rip\nexpect value 0x12\n"
              "l1 vmptrld 0x14000\nl1 vmread guest_rip\nexpect value 0x14\nl1 vmread host_rip\nexpect value 0x114\n"
              "l1 vmptrld 0x15000\nl1 vmread guest_rip\nexpect value 0x15\nl1 vmread host_rip\nexpect value 0x115\n"
              "end\n"
              "l1 vmxoff\nl1 vmread guest_rip\nexpect fault 6\nl1 vmxon 0x10000\nl1 vmread guest_rip\nexpect fail invalid\n"
              "l1 vmptrld 0x15000\nl1 vmread guest_rip\nexpect value 0x15\n"
              "l1 vmptrld 0x12000\nl1 vmread host_rip\nexpect value 0x112\n",
    /* Two L2s in turn, each with a state of its own. */
    L2 "l1 vmlaunch\nl2 register rip 0x7000\nl2 register rbx 5\nl2 vmcall\nexpect exit vmcall to=l1\n"
       "l1 prepare region 0x12000\nl1 vmclear 0x12000\nl1 vmptrld 0x12000\nl1 prepare vmcs\nl1 vmwrite guest_rsp 0x8880\n"
       "l1 vmlaunch\nl2 register rip 0x9000\nl2 cpuid 0\nexpect exit cpuid to=l1\nl1 vmread guest_rip\nexpect value 0x9000\n"
       "l1 vmptrld 0x11000\nl1 vmread guest_rip\nexpect value 0x7000\nl1 vmread exit_reason\nexpect value 18\n"
       "l1 vmresume\nexpect register rip 0x7000\nl2 cpuid 0\nexpect exit cpuid to=l1\n"
       "l1 vmptrld 0x12000\nl1 vmresume\nexpect register rip 0x9000\nexpect register rsp 0x8880\nl2 vmcall\n"
       "expect exit vmcall to=l1\n",
    /* A VMPTRLD that fails leaves the current VMCS as it is. */
    ROOT "l1 vmwrite guest_rip 0x1234\nl1 vmptrld 0x20000\nexpect fail 11\nl1 vmread guest_rip\nexpect value 0x1234\n"
         "l1 vmread vm_instruction_error\nexpect value 11\nl1 vmptrld 0x11000\nl1 vmread guest_rip\nexpect value 0x1234\n",

    /* ---- what L1 wrote is what it reads, whatever hardware has in that place ---- */
    L2 "l1 vmwrite guest_dr7 0x555\nl1 vmwrite guest_ia32_pat 0x0606060606060606\nl1 vmwrite guest_ia32_efer 0x500\n"
       "l1 clear entry.load_debug_controls\nl1 clear exit.save_debug_controls\nl1 vmwrite guest_pdpte2 0x77001\n"
       "l1 vmwrite preemption_timer_value 0x1234\nl1 vmwrite vmcs_link_pointer 0xffffffffffffffff\n"
       "l1 vmwrite io_bitmap_a_address 0x3000\nl1 vmwrite ept_pointer 0x1234\nl1 vmwrite exit_msr_load_address 0x7\n"
       "l1 vmwrite processor_based_controls 0x0401e172\nl1 vmlaunch\nexpect entry ok\n"
       "l2 vmcall\nexpect exit vmcall to=l1\nl1 vmread guest_dr7\nexpect value 0x555\nl1 vmread guest_ia32_pat\n"
       "expect value 0x0606060606060606\nl1 vmread guest_ia32_efer\nexpect value 0x500\nl1 vmread guest_pdpte2\n"
       "expect value 0x77001\nl1 vmread preemption_timer_value\nexpect value 0x1234\nl1 vmread io_bitmap_a_address\n"
       "expect value 0x3000\nl1 vmread ept_pointer\nexpect value 0x1234\nl1 vmread exit_msr_load_address\nexpect value 7\n"
       "l1 vmread virtual_processor_identifier\nexpect value 0\nl1 vmread secondary_processor_based_controls\n"
       "expect value 0\nl1 vmread entry_msr_load_count\nexpect value 0\n"
       "l1 vmread processor_based_controls\nexpect value 0x0401e172\n"
       "l1 vmresume\nexpect entry ok\n",
    /* L0 injects into L2 through fields that are L1's. */
    L2 "l1 vmwrite entry_exception_error_code 0x4321\nl1 vmwrite entry_instruction_length 7\n"
       "l1 vmwrite entry_interruption_information 0x20\nl1 vmlaunch\nl2 rdmsr 0x12345\nexpect exit rdmsr to=l1\n"
       "l1 set proc.use_msr_bitmaps\nl1 vmwrite msr_bitmap_address 0x20000\nl1 fill 0x20000 0\nl1 vmresume\n"
       "l2 wrmsr ia32_vmx_basic 0\nexpect fault 13 0\nl2 vmcall\nexpect exit vmcall to=l1\n"
       "l1 vmread entry_exception_error_code\nexpect value 0x4321\nl1 vmread entry_instruction_length\nexpect value 7\n"
       "l1 vmread entry_interruption_information\nexpect value 0x20\n",
    /* Rarely used fields, written and read between and after exits. */
    L2 "l1 vmwrite guest_gdtr_limit 0x1ff\nl1 vmlaunch\nl2 cpuid 0\nexpect exit cpuid to=l1\nl1 vmwrite cr3_target_count 1\n"
       "l1 vmresume\nl2 cpuid 0\nexpect exit cpuid to=l1\nl1 vmread guest_gdtr_limit\nexpect value 0x1ff\n"
       "l1 vmwrite guest_gdtr_limit 0x2ff\nl1 vmresume\nl2 cpuid 0\nexpect exit cpuid to=l1\nl1 vmresume\n"
       "expect state gdtr_limit 0x2ff\nl2 cpuid 0\nexpect exit cpuid to=l1\nl1 vmread guest_gdtr_limit\nexpect value 0x2ff\n",
    /* What L2 itself changed of them is seen by L1, survives another write of L1's, and goes to memory. */
    L2 "l1 set proc.use_msr_bitmaps\nl1 vmwrite msr_bitmap_address 0x20000\nl1 fill 0x20000 0\nl1 vmlaunch\n"
       "l2 wrmsr ia32_sysenter_eip 0x1111\nl2 vmcall\nexpect exit vmcall to=l1\nl1 vmread guest_ia32_sysenter_eip\n"
       "expect value 0x1111\nl1 vmresume\nl2 wrmsr ia32_sysenter_eip 0x2222\nl2 vmcall\nexpect exit vmcall to=l1\n"
       "l1 vmwrite cr3_target_count 1\nl1 vmresume\nl2 rdmsr ia32_sysenter_eip\nexpect value 0x2222\n"
       "l2 wrmsr ia32_sysenter_eip 0x3333\nl2 vmcall\nexpect exit vmcall to=l1\nl1 vmclear 0x11000\n"
       "l1 vmptrld 0x11000\nl1 vmread guest_ia32_sysenter_eip\nexpect value 0x3333\nl1 vmlaunch\n"
       "l2 wrmsr ia32_sysenter_eip 0x4444\nl2 vmcall\nexpect exit vmcall to=l1\nl1 prepare region 0x12000\n"
       "l1 vmclear 0x12000\nl1 vmptrld 0x12000\nl1 vmptrld 0x11000\nl1 vmread guest_ia32_sysenter_eip\n"
       "expect value 0x4444\n",
    /* Exit information can be written, and the next exit writes it again. */
    L2 "l1 vmlaunch\nl2 cpuid 0\nexpect exit cpuid to=l1\nl1 vmwrite exit_reason 77\nl1 vmread exit_reason\nexpect value 77\n"
       "l1 vmwrite exit_instruction_information 5\nl1 vmread exit_instruction_information\nexpect value 5\nl1 vmresume\n"
       "l2 vmcall\nexpect exit vmcall to=l1\nl1 vmread exit_reason\nexpect value 18\n",
    /* Only SMM exits write these. */
    L2 "l1 vmwrite io_rcx 5\nl1 vmlaunch\nl2 cpuid 0\nexpect exit cpuid to=l1\nl1 vmread io_rcx\nexpect value 5\n",

    /* A VMX abort: an MSR-store list that cannot be stored. L1 shuts down, on a vmcs01 that can be entered. */
    L2 "l1 vmwrite exit_msr_store_address 0x20000\nl1 fill 0x20000 0xff\nl1 vmwrite exit_msr_store_count 1\nl1 vmlaunch\n"
       "l2 cpuid 0\nexpect exit cpuid to=l1\nexpect level l1\n",

    /* ---- nothing stays behind: VMXON, L2, VMXOFF again and again ---- */
    ROOT "repeat 50\nl1 vmxoff\nl1 vmxon 0x10000\nl1 vmptrld 0x11000\nend\n",
};

/* Every one with every strategy: L1 must not be able to tell them apart. */
static const char *const strategy[] = { "trap", "copy", "flip" };
enum { SCENARIOS = sizeof scenario / sizeof *scenario, STRATEGIES = sizeof strategy / sizeof *strategy };

START_TEST(scenario_holds)
{
    const char *text = scenario[_i / STRATEGIES], *name = strategy[_i % STRATEGIES];
    char changed[4096];
    ck_assert_msg(!strncmp(text, L1, strlen(L1)), "%s", text);
    snprintf(changed, sizeof changed, "l0 native %s\n%s", name, text + strlen(L1));
    ck_assert_msg(script_run(changed, NULL), "%s\n%s", error.text, changed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("hv nested");
    TCase *tests = tcase_create("all");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, scenario_holds, 0, SCENARIOS * STRATEGIES);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
