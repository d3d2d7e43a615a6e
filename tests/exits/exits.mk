# SPDX-License-Identifier: MIT
# make exits: random programs as guests under random controls, on our bare machine and on Bochs, exit by exit (docs/processor.md).
EXITS := $(BARE)/exits
EXITS_IMAGE := $(EXITS)/exits.elf
EXITS_OBJECTS := $(addprefix $(EXITS)/,main.o guest.o) $(filter-out $(PROCESSOR)/main.o,$(addprefix $(BARE)/processor/,$(addsuffix .o,entry legacy report environment generate tasks emit transfer system access)))
-include $(EXITS)/main.d $(EXITS)/guest.d

$(EXITS)/%.o: tests/exits/%.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(GUEST_FLAGS) -c -o $@ $<
$(EXITS)/exits.elf64: $(EXITS_OBJECTS) $(addprefix $(GUESTS)/lib/,boot.o console.o guest.o vmxon.o world.o) scenarios/guests/lib/guest.ld
	@echo "  LINK  $@"
	@$(GUEST_LINK) -T scenarios/guests/lib/guest.ld -o $@ $(filter %.o,$^)
$(EXITS_IMAGE): $(EXITS)/exits.elf64
	@echo "  IMAGE $@"
	@objcopy --strip-debug -O elf32-i386 $< $@

tests: $(EXITS_IMAGE)
.PHONY: exits
exits: $(B)/sesqui $(EXITS_IMAGE) $(BOCHS_PARTS)
	@SESQUI=$(B)/sesqui tests/processor/processor.sh --exits --seed $(SEED) --count 10000 --progress $(STALE)
