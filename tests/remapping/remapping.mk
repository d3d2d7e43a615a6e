# SPDX-License-Identifier: MIT
# make remapping: 2,000 tables and requests in each mode on our remapping unit and on QEMU's (docs/iommu.md).
REMAPPING := $(B)/tests/remapping/vectors
$(REMAPPING): $(B)/tests/remapping/vectors.o $(MODEL_LIB)
	@echo "  LINK  $@"
	@$(CC) $(FLAGS) -o $@ $^
tests: $(REMAPPING)
.PHONY: remapping
remapping: $(REMAPPING)
	@COUNT=2000 SEED=$(SEED) VECTORS=$(REMAPPING) tests/remapping/qemu.sh
