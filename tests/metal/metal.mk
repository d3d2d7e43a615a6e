# SPDX-License-Identifier: MIT
# make metal: the same core on machines that are not the model: as an image on our bare machine, and on Bochs.
METAL_TESTS := tests/metal/image.sh tests/metal/late.sh tests/metal/on_bochs.sh

.PHONY: metal
metal: all bochs-parts $(IMAGE_2)
	@tests/deps.sh metal || echo "make metal: Bochs cannot be installed here: what needs it is skipped"
	@tests/run.sh $(METAL_TESTS)
