# SPDX-License-Identifier: MIT
# VM entries tried on our machine and on Bochs: docs/vectors.md.
VECTOR_LIST := $(B)/tests/metal/vector_list

$(VECTOR_LIST): %: %.o $(MODEL_LIB)
	@echo "  LINK  $@"
	@$(CC) $(FLAGS) -o $@ $^ $(CHECK_LIBS)
tests: $(VECTOR_LIST)
