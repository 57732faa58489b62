alter domain d drop default;
