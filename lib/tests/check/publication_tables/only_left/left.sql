alter publication p add table u;
