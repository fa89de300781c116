package eci

import (
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/spillway-k8s/spillway/test/wrappers"
)

var _ = Describe("When ECI has less than pods want", func() {
	It("places what the quota admits, and the rest when it grows", func(ctx SpecContext) {
		script(`{"regions":{"cn-beijing":{"maxCPU":20}}}`)
		w := newWorld(ctx, wrappers.MakeZone(zoneJ), wrappers.MakeZone(zoneK))
		d := w.deploy("web", 12)
		Eventually(func() []int { c := w.count(); return []int{c[ecs], c[zoneJ] + c[zoneK]} }).Should(Equal([]int{2, 10}))
		By("others use more of the account's quota than is left")
		script(`{"regions":{"cn-beijing":{"usedCPU":10}}}`)
		w.scale(d, 14)
		Eventually(w.reasons).Should(ConsistOf(ContainSubstring(
			"unit 1 (eci): cn-beijing-j: the vCPU quota of cn-beijing leaves no room for 2-4Gi, cn-beijing-k: the vCPU quota of cn-beijing leaves no room for 2-4Gi")))
		Eventually(func() string { return zone(zoneJ).Status.LimitedBy }).Should(Equal("vCPU quota of cn-beijing: 20, used 30, shared by 2 virtual nodes"))
		By("and less again")
		script(`{"regions":{"cn-beijing":{"maxCPU":34}}}`)
		Eventually(func() []int { c := w.count(); return []int{c[ecs], c[zoneJ] + c[zoneK], c["waiting"]} }).Should(Equal([]int{2, 12, 0}))
		Expect(ledger().Refused).To(BeEmpty(), "ECI was asked for more than it had")
		w.judge()
	})

	It("moves pods back to ECS when the quota shrinks faster than it is read", func(ctx SpecContext) {
		w := newWorld(ctx, wrappers.MakeZone(zoneJ))
		d := w.deploy("web", 4)
		Eventually(w.count).Should(Equal(map[string]int{ecs: 2, zoneJ: 2}))
		// What is read is four seconds old when it is used.
		script(`{"regions":{"cn-beijing":{"usedCPU":999}},"actions":{"ListUsage":{"latency":"4s"}}}`)
		w.scale(d, 8)
		Eventually(w.count).Should(Equal(map[string]int{ecs: 2, zoneJ: 2, "waiting": 4}))
		_, moves, _ := w.journal.result()
		Expect(moves).NotTo(BeZero(), "nothing was tested")
		w.judge()
		By("and places them when there is quota again")
		script(`{"regions":{"cn-beijing":{"usedCPU":0}},"actions":null}`)
		Eventually(w.count).Should(Equal(map[string]int{ecs: 2, zoneJ: 6}))
	})

	It("goes to another zone when one sells out, although the inventory says otherwise", func(ctx SpecContext) {
		script(`{"regions":{"cn-beijing":{"zones":{"cn-beijing-j":{"left":{"2-4Gi":3}}}}}}`)
		w := newWorld(ctx, wrappers.MakeZone(zoneJ), wrappers.MakeZone(zoneK))
		d := w.deploy("web", 22)
		Eventually(func() []int { c := w.count(); return []int{c[ecs], c[zoneJ] + c[zoneK], c["bound"] + c["waiting"]} }).Should(Equal([]int{2, 20, 0}))
		Expect(w.count()[zoneJ]).To(BeNumerically("<=", 3))
		Eventually(stockOuts).WithArguments(zoneJ).Should(ConsistOf("2-4Gi NoStock"))
		Expect(stockOuts(zoneK)).To(BeEmpty())
		w.judge()
		By("and back to the zone when it is refilled, by one pod that tries")
		script(`{"regions":{"cn-beijing":{"zones":{"cn-beijing-j":{"left":{"2-4Gi":100}},"cn-beijing-k":{"left":{"2-4Gi":0}}}}}}`)
		w.scale(d, 26)
		Eventually(func() []int { c := w.count(); return []int{c[zoneJ] + c[zoneK], c["bound"] + c["waiting"]} }).WithTimeout(3 * time.Minute).Should(Equal([]int{24, 0}))
		Eventually(stockOuts).WithArguments(zoneJ).Should(BeEmpty())
		w.judge()
	})

	It("waits, without a loop, when every zone is sold out, and falls back to ECS", func(ctx SpecContext) {
		script(`{"regions":{"cn-beijing":{"zones":{"cn-beijing-j":{"left":{"2-4Gi":0}},"cn-beijing-k":{"left":{"2-4Gi":0}}}}}}`)
		w := newWorld(ctx, wrappers.MakeZone(zoneJ), wrappers.MakeZone(zoneK))
		first := w.deploy("first", 2)
		Eventually(w.count).Should(Equal(map[string]int{ecs: 2}))
		w.deploy("second", 2)
		Eventually(w.reasons).Should(ConsistOf(And(ContainSubstring("cn-beijing-j: out of stock for 2-4Gi (NoStock)"), ContainSubstring("cn-beijing-k: out of stock for 2-4Gi (NoStock)"))))
		By("a place on ECS is taken at once")
		w.scale(first, 0)
		Eventually(w.count).Should(Equal(map[string]int{ecs: 2}))
		w.deploy("third", 1)
		before := refusals()
		Consistently(func() int { return int(refusals() - before) }).WithTimeout(20*time.Second).Should(BeNumerically("<=", 6),
			"ECI is asked again and again")
		w.judge()
	})

	It("goes to another zone when the addresses of one run out", func(ctx SpecContext) {
		script(`{"regions":{"cn-beijing":{"vSwitches":{"vsw-cn-beijing-j":{"freeIPs":3},"vsw-cn-beijing-k":{"freeIPs":4}}}}}`)
		w := newWorld(ctx, wrappers.MakeZone(zoneJ).VSwitch("vsw-cn-beijing-j"), wrappers.MakeZone(zoneK).VSwitch("vsw-cn-beijing-k"))
		w.deploy("web", 10)
		Eventually(w.count).Should(Equal(map[string]int{ecs: 2, zoneJ: 3, zoneK: 4, "waiting": 1}))
		Eventually(w.reasons).Should(ConsistOf(And(ContainSubstring("cn-beijing-j: the number of free IP addresses of its vSwitches leaves no room"),
			ContainSubstring("cn-beijing-k: the number of free IP addresses of its vSwitches leaves no room"))))
		Eventually(func() string { return zone(zoneJ).Status.LimitedBy }).Should(Equal("vSwitch vsw-cn-beijing-j, 0 free IPs"))
		Expect(ledger().Refused).To(BeEmpty(), "ECI was asked for more than it had")
		By("others take addresses before they are counted again")
		script(`{"regions":{"cn-beijing":{"vSwitches":{"vsw-cn-beijing-j":{"freeIPs":100}}}}}`)
		Eventually(w.count).Should(Equal(map[string]int{ecs: 2, zoneJ: 4, zoneK: 4}))
		script(`{"regions":{"cn-beijing":{"vSwitches":{"vsw-cn-beijing-j":{"freeIPs":4},"vsw-cn-beijing-k":{"freeIPs":100}}}}}`)
		w.deploy("more", 4)
		Eventually(w.count).Should(Equal(map[string]int{ecs: 2, zoneJ: 4, zoneK: 8}))
		w.judge()
	})

	It("places exactly what fits when a thousand pods come at once", func(ctx SpecContext) {
		script(`{"regions":{"cn-beijing":{"maxCPU":600}}}`)
		w := newWorld(ctx, wrappers.MakeZone(zoneJ), wrappers.MakeZone(zoneK))
		Eventually(func() string { return zone(zoneK).Status.QuotaCPU.String() }).Should(Equal("600"))
		begin, calls := time.Now(), reads()
		w.deploy("web", 1002)
		placed := func() []int { c := w.count(); return []int{c[ecs], c[zoneJ] + c[zoneK], c["bound"], c["waiting"]} }
		Eventually(placed).WithTimeout(3 * time.Minute).WithPolling(time.Second).Should(Equal([]int{2, 300, 0, 700}))
		say("1,000 pods for ECI with room for 300: %v after %.1f s", placed(), time.Since(begin).Seconds())
		sold := ledger()
		say("the simulator has sold %d vCPU of 600, at most %d, and refused %v", sold.MilliCPU/1000, sold.MostMilliCPU/1000, sold.Refused)
		Expect(sold.Groups).To(Equal(300))
		Expect(sold.MostMilliCPU).To(BeNumerically("<=", 600_000))
		Expect(sold.Refused).To(BeEmpty(), "ECI was asked for more than it had")
		sayCalls("while 1,000 pods came", calls, time.Since(begin))
		By("more quota places exactly as many more")
		script(`{"regions":{"cn-beijing":{"maxCPU":700}}}`)
		Eventually(placed).WithTimeout(2 * time.Minute).WithPolling(time.Second).Should(Equal([]int{2, 350, 0, 650}))
		Expect(ledger().Refused).To(BeEmpty(), "ECI was asked for more than it had")
		w.judge()
	})

	It("asks ECI as often with many pods as with few", func(ctx SpecContext) {
		w := newWorld(ctx, wrappers.MakeZone(zoneJ), wrappers.MakeZone(zoneK))
		d := w.deploy("web", 12)
		Eventually(func() int { c := w.count(); return c[zoneJ] + c[zoneK] }).Should(Equal(10))
		few := perMinute("at rest with 10 pods on ECI")
		w.scale(d, 402)
		Eventually(func() int { c := w.count(); return c[zoneJ] + c[zoneK] }).WithTimeout(2 * time.Minute).Should(Equal(400))
		many := perMinute("at rest with 400 pods on ECI")
		Expect(many).To(BeNumerically("<=", few*1.2))
	})
})

// refusals is how often ECI has refused to create something.
func refusals() int64 {
	GinkgoHelper()
	var n int64
	for _, each := range ledger().Refused {
		n += each
	}
	return n
}

// perMinute measures the calls of Spillway's controller for a while. The cluster of these tests asks more often than by default.
func perMinute(when string) float64 {
	GinkgoHelper()
	const (
		// settles is how long new container groups are listed as changes.
		settles = 15 * time.Second
		window  = 20 * time.Second
	)
	wait := func(d time.Duration) {
		begin := time.Now()
		Eventually(func() time.Duration { return time.Since(begin) }).Should(BeNumerically(">", d))
	}
	wait(settles)
	before, begin := reads(), time.Now()
	wait(window)
	return sayCalls(when, before, time.Since(begin))
}

// sayCalls prints the calls since before, and returns how many there were a minute.
func sayCalls(when string, before map[string]int, took time.Duration) float64 {
	GinkgoHelper()
	var words []string
	total := 0.0
	for action, n := range reads() {
		rate := float64(n-before[action]) / took.Minutes()
		total += rate
		words = append(words, fmt.Sprintf("%s %.0f", action, rate))
	}
	say("API calls a minute %s: %.0f (%s)", when, total, strings.Join(words, ", "))
	return total
}
