/* SPDX-License-Identifier: MIT */
/*
 * The facts of a DMA-remapping unit as constants: Intel Virtualization Technology for Directed I/O, Architecture Specification ("VT-d"), of which
 * docs/iommu.md names the edition. No code.
 */
#ifndef SESQUI_ARCH_VTD_H
#define SESQUI_ARCH_VTD_H

/* The offsets of the registers: VTD_ver, VTD_cap, ... */
enum vtd_register_offset {
#define VTD_REGISTER(name, offset, size, reset, writable, clear, action, title) VTD_##name = (offset),
#include "arch/vtd_registers.def"
};

/* The fault recording registers stand where CAP.FRO says, in 16-byte units; IVA and IOTLB where ECAP.IRO does. */
enum { VTD_RECORDS = 0x220, VTD_RECORD_COUNT = 8, VTD_WINDOW = 0x1000 };

/* ---- Capability Register ---- */
#define VTD_CAP_ND(bits) (((uint64_t)(bits) - 4) / 2)       /* domain-ids of so many bits: 4, 6, ... 16 */
#define VTD_CAP_PLMR (1ull << 5)
#define VTD_CAP_PHMR (1ull << 6)
#define VTD_CAP_CM (1ull << 7)
#define VTD_CAP_SAGAW_39 (1ull << 9)
#define VTD_CAP_SAGAW_48 (1ull << 10)
#define VTD_CAP_SAGAW_57 (1ull << 11)
#define VTD_CAP_SAGAW(cap) ((cap) >> 8 & 0x1f)
#define VTD_CAP_MGAW_SHIFT 16
#define VTD_CAP_MGAW(cap) (((cap) >> VTD_CAP_MGAW_SHIFT & 0x3f) + 1)
#define VTD_CAP_ZLR (1ull << 22)
#define VTD_CAP_FRO_SHIFT 24
#define VTD_CAP_SLLPS_2M (1ull << 34)
#define VTD_CAP_SLLPS_1G (1ull << 35)
#define VTD_CAP_PSI (1ull << 39)
#define VTD_CAP_NFR_SHIFT 40
#define VTD_CAP_MAMV_SHIFT 48
#define VTD_CAP_MAMV(cap) ((cap) >> VTD_CAP_MAMV_SHIFT & 0x3f)
#define VTD_CAP_DWD (1ull << 54)
#define VTD_CAP_DRD (1ull << 55)
#define VTD_CAP_FL1GP (1ull << 56)
#define VTD_CAP_PI (1ull << 59)
#define VTD_CAP_FL5LP (1ull << 60)

/* ---- Extended Capability Register ---- */
#define VTD_ECAP_C (1ull << 0)
#define VTD_ECAP_QI (1ull << 1)
#define VTD_ECAP_DT (1ull << 2)
#define VTD_ECAP_IR (1ull << 3)
#define VTD_ECAP_EIM (1ull << 4)
#define VTD_ECAP_PT (1ull << 6)
#define VTD_ECAP_SC (1ull << 7)
#define VTD_ECAP_IRO_SHIFT 8
#define VTD_ECAP_MHMV_SHIFT 20
#define VTD_ECAP_MHMV(ecap) ((ecap) >> VTD_ECAP_MHMV_SHIFT & 0xf)
#define VTD_ECAP_NEST (1ull << 26)
#define VTD_ECAP_PRS (1ull << 29)
#define VTD_ECAP_SRS (1ull << 31)
#define VTD_ECAP_EAFS (1ull << 34)
#define VTD_ECAP_PSS_SHIFT 35
#define VTD_ECAP_PASID (1ull << 40)
#define VTD_ECAP_PDS (1ull << 42)
#define VTD_ECAP_SMTS (1ull << 43)
#define VTD_ECAP_SLADS (1ull << 45)
#define VTD_ECAP_SLTS (1ull << 46)
#define VTD_ECAP_FLTS (1ull << 47)
#define VTD_ECAP_SMPWCS (1ull << 48)
#define VTD_ECAP_RPS (1ull << 49)
#define VTD_ECAP_ADMS (1ull << 52)
#define VTD_ECAP_RPRIVS (1ull << 53)

/* ---- Global Command and Global Status Registers: the same positions ---- */
#define VTD_TE (1ull << 31)             /* a toggle, as the other two: the state is what was written last */
#define VTD_SRTP (1ull << 30)           /* a command: its status bit says that it was carried out once */
#define VTD_WBF (1ull << 27)
#define VTD_QIE (1ull << 26)
#define VTD_IRE (1ull << 25)
#define VTD_SIRTP (1ull << 24)
#define VTD_CFI (1ull << 23)
#define VTD_TOGGLES (VTD_TE | VTD_QIE | VTD_IRE | VTD_CFI)

/* ---- Root Table Address Register ---- */
#define VTD_TTM(rtaddr) ((rtaddr) >> 10 & 3)
enum vtd_translation_table_mode { VTD_TTM_LEGACY, VTD_TTM_SCALABLE, VTD_TTM_RESERVED, VTD_TTM_ABORT };

/* ---- commands by registers ---- */
#define VTD_CCMD_ICC (1ull << 63)
#define VTD_CCMD_CIRG(ccmd) ((ccmd) >> 61 & 3)      /* 1 global, 2 domain, 3 device */
#define VTD_CCMD_CAIG_SHIFT 59
#define VTD_IOTLB_IVT (1ull << 63)
#define VTD_IOTLB_IIRG(iotlb) ((iotlb) >> 60 & 3)   /* 1 global, 2 domain, 3 page */
#define VTD_IOTLB_IAIG_SHIFT 57

/* ---- Fault Status Register ---- */
#define VTD_FSTS_PFO (1ull << 0)
#define VTD_FSTS_PPF (1ull << 1)
#define VTD_FSTS_IQE (1ull << 4)
#define VTD_FSTS_ICE (1ull << 5)
#define VTD_FSTS_ITE (1ull << 6)
#define VTD_FSTS_FRI_SHIFT 8
#define VTD_FSTS_CAUSES (VTD_FSTS_PFO | VTD_FSTS_PPF | VTD_FSTS_IQE | VTD_FSTS_ICE | VTD_FSTS_ITE)

/* ---- Fault Recording Register, upper half ---- */
#define VTD_RECORD_F (1ull << 63)
#define VTD_RECORD_T1 (1ull << 62)      /* with T2: 00 write, 10 read, 11 atomic */
#define VTD_RECORD_AT_SHIFT 60
#define VTD_RECORD_PV_SHIFT 40
#define VTD_RECORD_FR_SHIFT 32
#define VTD_RECORD_PP (1ull << 31)
#define VTD_RECORD_EXE (1ull << 30)
#define VTD_RECORD_PRIV (1ull << 29)
#define VTD_RECORD_T2 (1ull << 28)

/* ---- the control registers of the three events, PMEN, ICS, IQA, IRTA ---- */
#define VTD_EVENT_MASK (1ull << 31)
#define VTD_EVENT_PENDING (1ull << 30)
#define VTD_PMEN_EPM (1ull << 31)
#define VTD_PMEN_PRS (1ull << 0)
#define VTD_ICS_IWC (1ull << 0)
#define VTD_IQA_DW (1ull << 11)
#define VTD_IQA_QS(iqa) ((iqa) & 7)
#define VTD_IRTA_EIME (1ull << 11)
#define VTD_IRTA_S(irta) ((irta) & 15)

/* ---- entries of the tables in memory ---- */
#define VTD_ADDRESS 0x000ffffffffff000ull
#define VTD_PRESENT (1ull << 0)
#define VTD_FPD (1ull << 1)             /* of context, PASID directory and table, interrupt entries: faults are not recorded */
#define VTD_CONTEXT_TT(low) ((low) >> 2 & 3)
enum vtd_translation_type { VTD_TT_UNTRANSLATED, VTD_TT_ALL, VTD_TT_PASS_THROUGH, VTD_TT_RESERVED };
#define VTD_CONTEXT_AW(high) ((high) & 7)           /* 1: 39 bits, 2: 48, 3: 57 */
#define VTD_CONTEXT_DID(high) ((high) >> 8 & 0xffff)
#define VTD_CONTEXT_DTE (1ull << 2)                 /* of scalable mode */
#define VTD_CONTEXT_PASIDE (1ull << 3)
#define VTD_CONTEXT_PRE (1ull << 4)
#define VTD_CONTEXT_PDTS(low) ((low) >> 9 & 7)      /* a directory of 2^(PDTS + 7) entries */
#define VTD_CONTEXT_RID_PASID(high) ((high) & 0xfffff)
#define VTD_CONTEXT_RID_PRIV (1ull << 20)
#define VTD_PASID_AW(w0) ((w0) >> 2 & 7)
#define VTD_PASID_PGTT(w0) ((w0) >> 6 & 7)
enum vtd_pasid_translation { VTD_PGTT_FIRST = 1, VTD_PGTT_SECOND, VTD_PGTT_NESTED, VTD_PGTT_PASS_THROUGH };
#define VTD_PASID_SLADE (1ull << 9)
#define VTD_PASID_DID(w1) ((w1) & 0xffff)
#define VTD_PASID_PWSNP (1ull << 23)
#define VTD_PASID_SRE (1ull << 0)                   /* of w2 */
#define VTD_PASID_FSPM(w2) ((w2) >> 2 & 3)          /* 0: four levels, 1: five */
#define VTD_PASID_WPE (1ull << 4)
#define VTD_PASID_EAFE (1ull << 7)

/* Paging entries of the second stage; those of the first stage are the processor's. */
#define VTD_SECOND_READ (1ull << 0)
#define VTD_SECOND_WRITE (1ull << 1)
#define VTD_SECOND_LARGE (1ull << 7)
#define VTD_SECOND_ACCESSED (1ull << 8)
#define VTD_SECOND_DIRTY (1ull << 9)
#define VTD_SECOND_SNOOP (1ull << 11)
#define VTD_SECOND_TRANSIENT (1ull << 62)

/* ---- interrupts ---- */
#define VTD_INTERRUPT_BASE 0xfee00000ull
#define VTD_INTERRUPT_END 0xfef00000ull
#define VTD_MESSAGE_REMAPPABLE (1u << 4)
#define VTD_MESSAGE_SHV (1u << 3)
#define VTD_IRTE_REDIRECTION_HINT (1ull << 3)
#define VTD_IRTE_DESTINATION_MODE (1ull << 2)
#define VTD_IRTE_TRIGGER (1ull << 4)
#define VTD_IRTE_DELIVERY(low) ((low) >> 5 & 7)
#define VTD_IRTE_URGENT (1ull << 14)
#define VTD_IRTE_POSTED (1ull << 15)
#define VTD_IRTE_VECTOR(low) ((low) >> 16 & 0xff)
#define VTD_IRTE_DESTINATION(low) ((low) >> 32)
#define VTD_IRTE_SID(high) ((high) & 0xffff)
#define VTD_IRTE_SQ(high) ((high) >> 16 & 3)
#define VTD_IRTE_SVT(high) ((high) >> 18 & 3)

#endif
