# SPDX-License-Identifier: MIT
# make vectors: VM entries tried on our machine and on Bochs (docs/vectors.md). make metal does it too.
VECTOR_LIST := $(B)/tests/metal/vector_list
METAL_TESTS += tests/metal/bare_on_bochs.sh tests/metal/vectors_on_bochs.sh

$(VECTOR_LIST): %: %.o $(MODEL_LIB)
	@echo "  LINK  $@"
	@$(CC) $(FLAGS) -o $@ $^
tests metal: $(VECTOR_LIST)

.PHONY: vectors
vectors: all bochs-parts $(VECTOR_LIST)
	@tests/deps.sh metal || echo "make vectors: Bochs cannot be installed here: what needs it is skipped"
	@tests/metal/vectors_on_bochs.sh $(VECTORS_OPTIONS)
