-- online: yes
ALTER TABLE ready
  DROP KEY ix_type,
  ADD KEY ix_type (capability, type, queue, priority);
