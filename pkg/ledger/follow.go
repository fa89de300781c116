package ledger

// follow counts the nodes that changed.
func (l *Ledger[P]) follow(snapshot Snapshot[P]) Change {
	if snapshot.Len() != len(l.nodes) {
		l.realign(snapshot)
		return Change{Realigned: true}
	}
	var change Change
	for i, counted := range l.generations {
		generation := snapshot.Generation(i)
		if generation == counted {
			continue
		}
		n := l.nodes[i]
		if snapshot.Name(i) != n.name {
			l.realign(snapshot)
			return Change{Realigned: true}
		}
		l.generations[i] = generation
		l.followNode(snapshot, n)
		change.Nodes = append(change.Nodes, i)
	}
	return change
}

// realign follows a list with other nodes, or in another order. Nodes that did not change are not looked at.
func (l *Ledger[P]) realign(snapshot Snapshot[P]) {
	known, counted := l.byName, l.generations
	l.nodes, l.byName = make([]*countedNode[P], snapshot.Len()), make(map[string]*countedNode[P], snapshot.Len())
	l.generations = make([]int64, snapshot.Len())
	for i := range l.nodes {
		name, generation := snapshot.Name(i), snapshot.Generation(i)
		n, before := known[name], int64(0)
		delete(known, name)
		if n == nil {
			n = &countedNode[P]{name: name}
			before = generation - 1
		} else {
			before = counted[n.place]
		}
		n.place = i
		l.nodes[i], l.byName[name], l.generations[i] = n, n, generation
		if before != generation {
			l.followNode(snapshot, n)
		}
	}
	for _, gone := range known {
		for _, counted := range gone.pods {
			l.subtract(counted)
		}
	}
}

// followNode counts the pods of a node that came or went. The scheduler adds at the end, and puts the last one in the place of one that goes, so that most
// stand where they stood.
func (l *Ledger[P]) followNode(snapshot Snapshot[P], n *countedNode[P]) {
	size := snapshot.Pods(n.place)
	var places []int
	var moved map[P]*countedPod[P]
	for at, old := range n.pods {
		if at < size {
			if snapshot.Pod(n.place, at) == old.pod {
				continue
			}
			places = append(places, at)
		}
		if moved == nil {
			moved = map[P]*countedPod[P]{}
		}
		moved[old.pod] = old
		l.subtract(old)
	}
	for at := len(n.pods); at < size; at++ {
		places = append(places, at)
		n.pods = append(n.pods, nil)
	}
	for _, at := range places {
		pod := snapshot.Pod(n.place, at)
		counted := moved[pod]
		if counted == nil {
			counted = &countedPod[P]{pod: pod, node: n, adds: snapshot.Contribution(n.place, pod)}
			counted.namespace, _ = snapshot.Owner(pod)
		}
		l.add(counted)
		n.pods[at] = counted
	}
	clear(n.pods[size:])
	n.pods = n.pods[:size]
}
