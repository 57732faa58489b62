drop type s.state cascade;
